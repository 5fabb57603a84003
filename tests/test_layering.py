"""Imports point downhill: a room imports those below it alone, at import and at run time, so none is in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import edgepress

ROOT = Path(edgepress.__file__).parent
ORDER = [
    "__main__",
    "commands",
    "engine",
    "gate",
    "config",
    "stages",
    "stage",
    "tasks",
    "models",
    "training",
    "benchmark",
]
ORDER += ["data", "core", "__init__"]
"""From the top; `stage` is the contract of the stages, and `__init__` has the version."""
FILES = sorted(path for path in ROOT.rglob("*.py") if "shipped" not in path.parts)


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """The packages of ours that a file imports anywhere, also in functions and for types, each with the line."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("edgepress") for alias in node.names), "imports are relative"
        elif isinstance(node, ast.ImportFrom) and node.level:
            above = package[: len(package) - node.level + 1]
            whole = (*above, *(node.module or "").split(".")) if node.module else above
            for alias in node.names:
                name = whole[0] if whole else alias.name
                yield name if name in ORDER else "__init__", node.lineno


def test_imports_point_downhill() -> None:
    wrong = []
    for path in FILES:
        place = path.relative_to(ROOT)
        room = place.parts[0] if len(place.parts) > 1 else place.stem
        for name, line in imported(path):
            if name != room and ORDER.index(name) < ORDER.index(room) and room != "__init__":
                wrong.append(f"{place}:{line} imports {name}, which is above {room}")
    assert not wrong, "\n".join(wrong)


def test_the_door_has_at_most_twelve_names_and_files_are_short() -> None:
    names = {path.name for path in ROOT.iterdir()} - {"shipped", "py.typed", "__pycache__"}
    rooms = {name for name in names if not name.startswith("__")}
    assert {Path(name).stem for name in rooms} <= set(ORDER)
    assert len(rooms) <= 12
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert median(lengths.values()) <= 100
    assert not [f"{path}: {length}" for path, length in lengths.items() if length > 350]
