"""Choose versions of TFLite's operators by their types.

The versions are those of its own converter.

https://github.com/google-ai-edge/LiteRT/blob/main/tflite/tools/versioning/op_version.cc
"""

from __future__ import annotations

from .builder import INT16, Quantization

_INT16 = {
    "ADD": 3, "AVERAGE_POOL_2D": 3, "CONCATENATION": 3, "CONV_2D": 4, "DEPTHWISE_CONV_2D": 5, "DEQUANTIZE": 3,
    "FULLY_CONNECTED": 7, "GATHER": 4, "MAXIMUM": 4, "MAX_POOL_2D": 3, "MEAN": 3, "MINIMUM": 4, "MUL": 4, "PAD": 3,
    "PADV2": 3, "QUANTIZE": 2, "STRIDED_SLICE": 4, "SUB": 5, "TRANSPOSE": 5,
}  # fmt: skip
_INT8 = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "QUANTIZE": 1}
"""Version 4 of FULLY_CONNECTED has per-channel weights right in both runtimes; from 11 on, tflite-runtime 2.14 refuses
the file."""


def version(code: str, scale: Quantization | None) -> int:
    """Return the version of operator `code` in float, or on integers of that scale."""
    if scale is None:
        return 1
    return _INT16[code] if scale.type == INT16 else _INT8.get(code, 2)
