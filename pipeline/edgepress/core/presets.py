"""Define the integer formats (presets), one row each.

A format names the processors whose kernels are fast and exact with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from .results import Machine

PresetName = Literal["x86", "x86-avx2", "arm", "xnnpack", "nnapi", "tensorrt", "integer-only"]


@dataclass(frozen=True)
class Preset:
    """How a float graph becomes integers. Weights are int8, symmetric, one scale for each output channel.

    Attributes:
        unsigned: activations are uint8 instead of int8, with the same scales.
        reduced: weights have 7 bits, so that two products and their sum fit 16 bits.
        symmetric: activations have the zero point 0, and biases stay float.
        integer_only: inputs and outputs are integers too, and every operator between them.
        wide: activations are int16, around 0.
        foreign: not onnxruntime's own kernels run it, but those of what it hands the graph to.
    """

    about: str
    unsigned: bool = False
    reduced: bool = False
    symmetric: bool = False
    integer_only: bool = False
    wide: bool = False
    foreign: bool = False

    @property
    def numbers(self) -> Preset:
        """Return what is alike in presets of the same numbers, or those 128 apart: of `x86` it is `xnnpack`."""
        return replace(self, about=PRESETS["xnnpack"].about, unsigned=False, foreign=False)


PRESETS: dict[PresetName, Preset] = {
    "x86": Preset("x86 with VNNI, whose dot product is of unsigned with signed bytes", unsigned=True),
    # VPMADDUBSW adds two products of 8 bits in 16, and saturates: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
    "x86-avx2": Preset("x86 without VNNI, whose 8-bit products saturate 16 bits", unsigned=True, reduced=True),
    "arm": Preset("Arm in onnxruntime"),
    "xnnpack": Preset("LiteRT and TFLite: what `convert.tflite` is made from"),
    "nnapi": Preset("Android's NNAPI in onnxruntime", unsigned=True, foreign=True),
    "tensorrt": Preset("TensorRT: zero points of 0, biases in float", symmetric=True, foreign=True),
    "integer-only": Preset("microcontrollers and Edge TPU: inputs and outputs are integers too", integer_only=True),
}

_X86 = ("x86_64", "amd64", "i686")

INT16 = Preset("TFLite's 16x8 kernels", wide=True)
"""What `quantize.int16` makes; no processor asks for it by itself."""


def host_preset(machine: Machine) -> PresetName:
    """Return the preset that suits this machine's processor in onnxruntime."""
    if machine.architecture.lower() not in _X86:
        return "arm"
    return "x86-avx2" if saturates(machine) else "x86"


def saturates(machine: Machine) -> bool:
    """Tell whether onnxruntime's 8-bit kernels saturate sums here that no other kind of processor would."""
    return machine.architecture.lower() in _X86 and not {"avx512_vnni", "avx_vnni"} & set(machine.features)
