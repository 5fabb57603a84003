"""List the runtimes of model files, one row each.

A runtime of another API also needs a function in `benchmark/worker.py` and in `models/session.py`, which go to devices
alone.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .errors import Problem

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
        last_python: the last Python that it has a wheel for; None where it has one for each.
        last_numpy: the last major version of numpy that it works with. A newer one imports, and ends the process when
            a model is loaded.
    """

    kind: FileKind
    packages: tuple[str, ...]
    loader: str
    published: frozenset[str]
    preset: PresetName | None = None
    default: bool = True
    needed: bool = True
    last_python: tuple[int, int] | None = None
    last_numpy: int | None = None

    @property
    def package(self) -> str:
        """The usual distribution."""
        return self.packages[0]

    @property
    def module(self) -> str:
        """The module that loads a file."""
        return self.loader.rpartition(":")[2]

    def absent(self) -> Problem | None:
        """Return why this Python cannot use it, and what to do; None where it can. Nothing is imported."""
        if find_spec(self.module.partition(".")[0]) is None:
            if self.last_python and (sys.version_info[:2] > self.last_python or sys.platform != "linux"):
                here, last = (".".join(map(str, pair)) for pair in (sys.version_info[:2], self.last_python))
                return Problem(
                    f"{self.package} has no wheel for Python {here} on {sys.platform}",
                    f"it needs Linux and Python {last} or older; `runtime: {DEFAULT[self.kind]}` runs the same files",
                )
            return Problem(f"{self.package} is not installed", f"pip install {self.package}")
        numpy = _version("numpy")
        if self.last_numpy is not None and numpy and int(numpy.partition(".")[0]) > self.last_numpy:
            return Problem(
                f"{self.package} {_version(self.package)} needs numpy {self.last_numpy}, and {numpy} is installed",
                f"pip install 'numpy<{self.last_numpy + 1}', or pip uninstall {self.package}",
            )
        return None


def _version(package: str) -> str:
    """Return the installed version; empty without one."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


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
    # It only proves compatibility.
    "tflite-runtime": Row(
        "tflite",
        packages=("tflite-runtime",),
        loader="interpreter:tflite_runtime.interpreter",
        published=frozenset({"tflite-runtime", "xnnpack"}),
        preset="xnnpack",
        default=False,
        needed=False,
        last_python=(3, 11),
        last_numpy=1,
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


def others(suffix: str) -> tuple[str, ...]:
    """Return the runtimes that are not the default of files with this suffix; they prove compatibility."""
    return tuple(name for name, row in RUNTIMES.items() if not row.default and f".{row.kind}" == suffix)


def agreement_note(name: str) -> str:
    """Return the key, in a stage's notes, of the agreement of a runtime with the default one."""
    return f"agreement_of_{name.replace('-', '_')}"
