"""Convert ONNX's pads to TFLite's SAME, VALID, or an explicit PAD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from ..graph import Node
from ..layout import IMAGE, SIGNAL
from ..lowering import Lowering, refusal
from ..versions import version as version_of

Pads = list[tuple[int, int]]


@dataclass(frozen=True)
class Window:
    """A kernel's walk over an image; two numbers, for rows and for columns, in each list.

    `pads` are those that a window reaches; `same` says that they are what TensorFlow's SAME puts there. `written` are
    the trailing pads that the node asks for, which `ceil_mode` goes beyond.
    """

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    pads: Pads
    same: bool
    written: list[int]

    @property
    def padded(self) -> bool:
        return any(map(any, self.pads))

    @property
    def padding(self) -> int:
        return int(schema.Padding.SAME if self.same else schema.Padding.VALID)

    @classmethod
    def of(cls, lowering: Lowering, node: Node, kernel: list[int]) -> Window:
        """Return the window; the trailing pad follows from the result's size: `ceil_mode`, pads no window reaches."""
        require_pixels(lowering, node)
        rank = len(lowering.shape(node))
        pixels = rank - 2
        # A signal is an image of one row.
        row = [1] * (IMAGE - rank)
        kernel = [*row, *kernel]
        strides = [*row, *node.attributes.get("strides", [1] * pixels)]
        dilations = [*row, *node.attributes.get("dilations", [1] * pixels)]
        explicit = [*([0] * len(row)), *node.attributes.get("pads", [0] * pixels)[:pixels]]
        sizes, results = ([*row, *shape[2:]] for shape in (lowering.shape(node), lowering.output_shape(node)))
        mode = node.attributes.get("auto_pad", b"NOTSET").decode()
        behind = [*([0] * len(row)), *node.attributes.get("pads", [0] * 2 * pixels)[pixels:]]
        pads: Pads = []
        same = True
        for axis in range(2):
            size, result = sizes[axis], results[axis]
            missing = (result - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1 - size
            total = max(missing, 0)
            leading = {"VALID": 0, "SAME_UPPER": total // 2, "SAME_LOWER": -(-total // 2)}
            before = leading.get(mode, explicit[axis])
            pads.append((before, max(missing - before, 0)))
            same = same and result == -(-size // strides[axis]) and pads[axis] == (total // 2, -(-total // 2))
        written = behind if mode == "NOTSET" else [after for _, after in pads]
        return cls(kernel, strides, dilations, pads, same, written)


def require_pixels(lowering: Lowering, node: Node) -> None:
    """Refuse an input that is no image and no signal: the file has channels last of these ranks alone (`TO_LAST`)."""
    shape = lowering.shape(node)
    if len(shape) not in (SIGNAL, IMAGE):
        raise refusal(
            node,
            f"its input has the shape {list(shape)}, and only images (N, C, H, W) and signals (N, C, L) are in the set",
            "write a 3-D network as a 2-D one",
        )


def image(lowering: Lowering, tensor: int) -> int:
    """Return the tensor (N, H, W, C), or (N, L, C) as an image of one row."""
    shape = lowering.file.shape(tensor)
    return tensor if len(shape) == IMAGE else lowering.reshaped(tensor, (shape[0], 1, *shape[1:]))


def image_shape(lowering: Lowering, node: Node) -> tuple[int, ...]:
    """Return the file's shape of the operator's result, as `image` has it."""
    batch, *pixels, channels = lowering.file_shape(node.output)
    return (batch, *[1] * (IMAGE - 2 - len(pixels)), *pixels, channels)


def pad(lowering: Lowering, tensor: int, pads: Pads, value: Any = None) -> int:
    """Return the tensor with zeros, or a number, around it, two for each axis. Minus infinity is int8's lowest."""
    quantization = lowering.file.quantization(tensor)
    shape = tuple(size + sum(pair) for size, pair in zip(lowering.file.shape(tensor), pads, strict=True))
    result = lowering.file.like(tensor, "padded", shape)
    widths = lowering.indices(pads)
    if value is None:
        lowering.file.operator("PAD", version_of("PAD", quantization), [tensor, widths], [result], schema.PadOptionsT())
        return result
    number = np.asarray([value], np.float32).reshape(1)
    filler = lowering.file.constant("around", quantization.quantize(number) if quantization else number, quantization)
    lowering.file.operator(
        "PADV2", version_of("PADV2", quantization), [tensor, widths, filler], [result], schema.PadV2OptionsT()
    )
    return result


def around(pads: Pads) -> Pads:
    """Return pads of rows and columns as pads of (N, H, W, C)."""
    return [(0, 0), *pads, (0, 0)]
