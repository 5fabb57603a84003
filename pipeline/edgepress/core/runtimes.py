"""List the runtimes of model files, one row each.

A runtime of another API also needs a function in `benchmark/worker.py` and in `models/session.py`, which go to devices
alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .presets import PresetName

FileKind = Literal["onnx", "tflite"]


@dataclass(frozen=True)
class Row:
    """One runtime.

    Attributes:
        kind: the kind of file that it loads, which is also the file's suffix.
        packages: the distributions that have it, the usual one first.
        loader: `API:module`: the function in `worker` and `session` that loads a file, and the module that it needs,
            by default of the same name.
        published: names of published latencies that are of it or of its own kernels; a row under any other name is
            of a proxy.
        preset: the integer format of its kernels; None where the processor decides.
        default: whether it is the runtime of its kind of file where nothing names one.
        needed: whether `doctor` requires it.
    """

    kind: FileKind
    packages: tuple[str, ...]
    loader: str
    published: frozenset[str]
    preset: PresetName | None = None
    default: bool = True
    needed: bool = True

    @property
    def package(self) -> str:
        """The usual distribution."""
        return self.packages[0]

    @property
    def installed(self) -> bool:
        """Whether this Python has it."""
        return find_spec(self.loader.rpartition(":")[2].partition(".")[0]) is not None


RUNTIMES: dict[str, Row] = {
    "onnxruntime": Row(
        "onnx",
        packages=("onnxruntime", "onnxruntime-gpu"),
        loader="onnxruntime",
        published=frozenset({"onnxruntime"}),
    ),
    "litert": Row(
        "tflite",
        packages=("ai-edge-litert",),
        loader="interpreter:ai_edge_litert.interpreter",
        published=frozenset({"litert", "xnnpack"}),
        preset="xnnpack",
    ),
    # It has no wheel for newer Python, and only proves compatibility.
    "tflite-runtime": Row(
        "tflite",
        packages=("tflite-runtime",),
        loader="interpreter:tflite_runtime.interpreter",
        published=frozenset({"tflite-runtime", "xnnpack"}),
        preset="xnnpack",
        default=False,
        needed=False,
    ),
}
DEFAULT: dict[str, str] = {row.kind: name for name, row in RUNTIMES.items() if row.default}
"""The runtime of a kind of file."""


def packages() -> tuple[str, ...]:
    """Return the distributions that measuring needs, where they are installed."""
    return ("numpy", *(name for row in RUNTIMES.values() for name in row.packages))


def of_file(path: Path) -> str:
    """Return the default runtime of a model file."""
    return DEFAULT[path.suffix.removeprefix(".")]


def others() -> tuple[str, ...]:
    """Return the runtimes that are no default of their kind of file; they prove compatibility."""
    return tuple(name for name, row in RUNTIMES.items() if not row.default)


def agreement_note(name: str) -> str:
    """Return the key, in a stage's notes, of the agreement of a runtime with the default one."""
    return f"agreement_of_{name.replace('-', '_')}"
