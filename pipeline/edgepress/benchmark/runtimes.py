"""List the runtimes of model files, one row each.

`core.results.Runtime` has the names as a type.

How a runtime is imported and called stands in `worker.py` and `models/session.py`, which go to devices alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ..core.results import Runtime

FileKind = Literal["onnx", "tflite"]


@dataclass(frozen=True)
class Row:
    """One runtime.

    Attributes:
        kind: the kind of file that it loads, which is also the file's suffix.
        packages: the distributions that have it, the usual one first.
        published: names of published latencies that are of it or of its own kernels; a row under any other name is
            of a proxy.
        default: whether it is the runtime of its kind of file where nothing names one.
        needed: whether `doctor` requires it.
    """

    kind: FileKind
    packages: tuple[str, ...]
    published: frozenset[str]
    default: bool = True
    needed: bool = True

    @property
    def package(self) -> str:
        """The usual distribution."""
        return self.packages[0]


RUNTIMES: dict[Runtime, Row] = {
    "onnxruntime": Row("onnx", ("onnxruntime", "onnxruntime-gpu"), frozenset({"onnxruntime"})),
    "litert": Row("tflite", ("ai-edge-litert",), frozenset({"litert", "xnnpack"})),
    # It has no wheel for newer Python, and only proves compatibility.
    "tflite-runtime": Row(
        "tflite",
        ("tflite-runtime",),
        frozenset({"tflite-runtime", "xnnpack"}),
        default=False,
        needed=False,
    ),
}
DEFAULT: dict[str, Runtime] = {row.kind: name for name, row in RUNTIMES.items() if row.default}
"""The runtime of a kind of file."""
