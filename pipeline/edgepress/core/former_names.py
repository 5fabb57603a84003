"""Let a user's code import `pipeline…`, the package's name until 0.1.

A package `pipeline` of the user's own comes first.
"""

from __future__ import annotations

import ast
import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from .printable import say, word

FORMER = "pipeline"
MODULES = {
    "pipeline": "edgepress",
    "pipeline.data": "edgepress.data.dataset",
    "pipeline.data.altered": "edgepress.data.corruptions",
    "pipeline.data.divide": "edgepress.data.split",
    "pipeline.data.pictures": "edgepress.data.images",
    "pipeline.data.user": "edgepress.data.function",
}
"""Today's module of each former one that messages named, with its room; any other `pipeline.data.x` kept its name."""
EXPORTED = ("Dataset", "Examples", "Input")


def ours() -> bool:
    """Tell whether `pipeline` is no package of the user's own; a folder without `__init__.py` is none."""
    spec = PathFinder.find_spec(FORMER)
    return spec is None or spec.origin is None


class _Finder(MetaPathFinder, Loader):
    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        known = fullname in MODULES or fullname.startswith("pipeline.data.")
        return ModuleSpec(fullname, self, is_package=True) if known and ours() else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return a module that takes its names from today's; no alias, whose own submodules would be made twice."""
        module = ModuleType(spec.name)
        new = importlib.import_module(MODULES.get(spec.name) or spec.name.replace(FORMER, "edgepress", 1))

        def today(name: str) -> Any:
            former = f"{spec.name}.{name}"
            return importlib.import_module(former) if former in MODULES else getattr(new, name)

        module.__getattr__ = today  # type: ignore[method-assign]
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: the names are looked up in today's module."""


_FINDER = _Finder()


def allow(path: Path, source: bytes) -> None:
    """Let the file `path` import by the former name, and print what to write in its place."""
    imports = (
        (node.lineno, [alias.name for alias in node.names], node.module if isinstance(node, ast.ImportFrom) else None)
        for node in ast.walk(ast.parse(source, str(path)))
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and not node.level)
    )
    for line, names, module in imports:
        if FORMER not in {name.partition(".")[0] for name in ([module] if module else names)}:
            continue
        if ours():
            if _FINDER not in sys.meta_path:
                sys.meta_path.insert(0, _FINDER)
            wanted = ", ".join([name for name in names if name in EXPORTED] or EXPORTED)
            now = f"`from edgepress import {wanted}`"
            say(f"note: {word(path)}:{line}: the package is called `edgepress` now: {word(now)}", error=True)
