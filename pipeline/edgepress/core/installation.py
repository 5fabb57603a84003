"""Check the installed packages: their requirements, the import of each, and the known clashes.

`pip check` compares versions alone. Packages of versions that fit may still not work together, since they are built
for one another: that shows when they are imported, and in the worst case ends the process.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from importlib import metadata

from . import child_processes, installation_probe, machine
from .errors import Problem, UserError, first_line
from .runtimes import RUNTIMES

_NAME = __package__.partition(".")[0]
MODULES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "scikit-learn": "sklearn",
    "pillow": "PIL.Image",
    "onnx": "onnx",
    "onnxscript": "onnxscript",
    "onnxsim": "onnxsim",
    "safetensors": "safetensors",
    "torch": "torch",
    "torchvision": "torchvision",
    "timm": "timm",
    "torch-pruning": "torch_pruning",
    "accelerate": "accelerate",
}
"""By distribution, the modules with compiled code, or that import one; the runtimes are in their own table."""
_KNOWN: dict[str, tuple[str, str]] = {
    r"operator torchvision::\w+ does not exist|undefined symbol.*torch": (
        "torchvision {torchvision} is not built for torch {torch}",
        "install both from one index: `pip install --force-reinstall torch torchvision`",
    ),
    r"_ARRAY_API not found|numpy\.core\.multiarray failed to import|using NumPy 1\.x|numpy\.dtype size changed": (
        "a package is not built for numpy {numpy}",
        "`pip install --upgrade` that package, or `pip install 'numpy<2'`",
    ),
    r"google\.protobuf|Protobuf Gencode|Descriptors cannot be created directly": (
        "protobuf {protobuf} does not fit onnx {onnx}",
        "pip install --upgrade protobuf onnx",
    ),
    r"module 'onnxruntime' has no attribute|cannot import name .* from 'onnxruntime": (
        "onnxruntime is not whole: one of several packages with that module was removed or overwritten",
        "pip uninstall -y onnxruntime onnxruntime-gpu, then pip install the one that you need",
    ),
    r"GLIBC(XX)?_[\d.]+['` ]*not found": (
        "a package is built for a newer system than this one",
        "pip install --only-binary :all: an older version of it, or use a newer system",
    ),
    r"cannot open shared object file|undefined symbol|DLL load failed": (
        "a compiled package lacks a library, or is built for other versions",
        "pip install --force-reinstall that package and the one that it extends",
    ),
}
"""Messages of known clashes as regular expressions, what each means, and what to do."""


def versions() -> dict[str, str]:
    """Return the installed versions of the packages that are imported as a check."""
    return machine.versions([*MODULES, *(name for row in RUNTIMES.values() for name in row.packages)])


def faults() -> list[Problem]:
    """Return all that is wrong: unmet requirements, and packages that cannot be imported in a process of their own."""
    return [*unmet(), *_unusable()]


def unmet(root: str = _NAME) -> list[Problem]:
    """Return the requirements of `root`, and of what it requires, that are missing or have another version."""
    from packaging.requirements import Requirement

    problems, seen, waiting = [], {root}, [root]
    while waiting:
        name = waiting.pop()
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # run from its source, without an installation
            continue
        for requirement in map(Requirement, distribution.requires or []):
            if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                continue
            needs = f"{name} {distribution.version} needs {requirement.name}{requirement.specifier}"
            help = f"pip install '{requirement.name}{requirement.specifier}'"
            try:
                version = metadata.version(requirement.name)
            except metadata.PackageNotFoundError:
                problems.append(Problem(f"{needs}, which is not installed", help))
                continue
            if not requirement.specifier.contains(version, prereleases=True):
                problems.append(Problem(f"{needs}, and {version} is installed", help))
            if requirement.name not in seen:
                seen.add(requirement.name)
                waiting.append(requirement.name)
    return problems


def shadowed() -> list[Problem]:
    """Return the runtimes of which several packages are installed: they have one module, and the last one wins."""
    several = [machine.versions(row.packages) for row in RUNTIMES.values()]
    return [
        Problem(
            f"{' and '.join(f'{name} {version}' for name, version in found.items())} share one module",
            f"keep one: pip uninstall -y {' '.join(found)}, then pip install the one that you need",
        )
        for found in several
        if len(found) > 1
    ]


def explained(text: str) -> Problem | None:
    """Return what a known message of packages that do not work together means, and what to do."""
    for pattern, (message, help) in _KNOWN.items():
        if found := re.search(pattern, text):
            line = next(line for line in text.splitlines() if found[0].splitlines()[0] in line).strip()
            return Problem(f"{message.format_map(_Versions())}: {line[:240]}", help)
    return None


def blamed(error: BaseException) -> UserError | None:
    """Return the error of a package that cannot be imported, or does not work with another; None for any other."""
    problem = explained(str(error))
    if problem is None and isinstance(error, ImportError) and _foreign(error):
        problem = _import_failed(error)
    if problem:
        return UserError([problem, *unmet()])
    return blamed(error.__cause__) if error.__cause__ else None


def _foreign(error: ImportError) -> bool:
    return (error.name or "").partition(".")[0] not in ("", _NAME)


def _import_failed(error: ImportError) -> Problem:
    package = (error.name or "").partition(".")[0]
    names = {module.partition(".")[0]: name for name, module in MODULES.items()}
    names |= {row.module.partition(".")[0]: row.package for row in RUNTIMES.values()}
    distribution = names.get(package, package)
    if isinstance(error, ModuleNotFoundError) and "." not in (error.name or ""):
        return Problem(f"the package `{distribution}` is not installed: {error}", f"pip install {distribution}")
    help = f"`edgepress doctor` checks all packages; pip install --force-reinstall {distribution}"
    return Problem(f"the package `{distribution}` cannot be imported: {first_line(error)}", help)


def _unusable() -> Iterator[Problem]:
    """Import the packages in a child process; where one ends the process, the others follow in another."""
    waiting = {name: module for name, module in MODULES.items() if name in versions()}
    waiting |= {
        next(iter(machine.versions(row.packages)), row.package): row.loader
        for row in RUNTIMES.values()
        if not row.absent()
    }
    while waiting:
        command = child_processes.script(installation_probe.__file__, json.dumps(waiting))
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        for line in done.stdout.splitlines():
            name, error = json.loads(line)
            del waiting[name]
            if error:
                yield _unusable_package(name, explained(error), first_line(Exception(error)))
        if waiting:  # the first of them ended the process
            name = next(iter(waiting))
            del waiting[name]
            yield _unusable_package(
                name, explained(done.stderr), f"its process {child_processes.ended(done.returncode)}"
            )


def _unusable_package(name: str, known: Problem | None, otherwise: str) -> Problem:
    known = known or Problem(otherwise, f"pip install --force-reinstall {name}")
    return Problem(f"{name} {_Versions()[name]} cannot be used: {known.message}", known.help)


class _Versions(dict[str, str]):
    """Installed versions by distribution, as a message names them."""

    def __missing__(self, name: str) -> str:
        return machine.versions([name]).get(name, "(not installed)")
