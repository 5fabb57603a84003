"""The quantizers of `make bench-quant` and their settings: as they come, and the grid of which the best is shown.

A grid has what a peer's documentation offers for int8 in onnxruntime or TFLite. Fine-tuning has fewer iterations than
by default, which are 1,000 or 10,000 for each layer and take hours on a processor; the table names how many.
"""

from __future__ import annotations

import json
import platform
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

Options = dict[str, Any]

FOLDER = Path(".venv-peers")
PYTHONS = {"aimet": FOLDER / "numpy2" / "bin" / "python", "quark": FOLDER / "numpy2" / "bin" / "python"}
"""AIMET and Quark want numpy 2, and the others one before it."""
PYTHON = FOLDER / "bin" / "python"
ACTIVATIONS = "QUInt8" if platform.machine() in ("x86_64", "AMD64") else "QInt8"
"""What onnxruntime's documentation says of this kind of processor; its default is QInt8 everywhere."""


@dataclass(frozen=True)
class Method:
    """A peer with one setting, or with the best of a grid by the validation split."""

    name: str
    peer: str
    grid: tuple[Options, ...] = ({},)


ORT = tuple(
    {"per_channel": True, "activations": ACTIVATIONS, "ranges": ranges} | extra
    for ranges, extra in (
        ("MinMax", {}),
        ("Percentile", {}),
        ("Percentile", {"extra": {"CalibPercentile": 99.99}}),
        ("Entropy", {}),
    )
)
NNCF: tuple[Options, ...] = (
    {"preset": "mixed", "per_tensor": True, "fast_bias_correction": True},
    {"preset": "performance", "per_tensor": True, "fast_bias_correction": True},
    {"preset": "performance", "per_tensor": True, "fast_bias_correction": False},
)
CONTROL: Options = {"preset": "mixed", "per_tensor": True, "max_drop": 0.003}
AIMET: tuple[Options, ...] = (
    {"equalize": True, "per_channel": True},
    {"equalize": True, "per_channel": True, "adaround": 100},
)
A8W8: Options = {"per_channel": True, "ranges": "MinMax", "activations": "uint8"}
QUARK: tuple[Options, ...] = (
    A8W8,
    A8W8 | {"equalize": True},
    A8W8 | {"equalize": True, "finetune": "adaround", "iterations": 100},
    A8W8 | {"equalize": True, "finetune": "adaquant", "iterations": 100},
)
LITERT: tuple[Options, ...] = ({"integers": True}, {"integers": True, "algorithm": "MSE"})

METHODS = (
    Method("onnxruntime", "ort"),
    Method("onnxruntime, per channel", "ort", ({"per_channel": True},)),
    Method("onnxruntime, best", "ort", ({}, *ORT)),
    Method("NNCF", "nncf"),
    Method("NNCF, best", "nncf", ({}, *NNCF)),
    Method("NNCF, accuracy control", "nncf", (CONTROL,)),
    Method("AIMET", "aimet"),
    Method("AIMET, best", "aimet", ({}, *AIMET)),
    Method("AMD Quark", "quark"),
    Method("AMD Quark, best", "quark", ({}, *QUARK)),
    Method("litert-torch", "litert", LITERT[:1]),
    Method("litert-torch, best", "litert", LITERT),
)

VERSIONS = {
    PYTHON: ("onnxruntime", "nncf", "litert-torch", "ai-edge-quantizer", "litert-converter", "jax", "torch", "numpy"),
    PYTHONS["aimet"]: ("aimet-onnx", "amd-quark"),
}


@cache
def versions() -> dict[str, str]:
    """Return distribution → version, of the environments of the peers."""
    script = "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    found: dict[str, str] = {}
    for python, names in VERSIONS.items():
        found |= json.loads(subprocess.check_output([python, "-c", script, *names], text=True))
    return found
