"""The generated parts of README.md and docs/: tables from `tests/bench/`, excerpts of output, reference pages."""

from __future__ import annotations

from typing import Any


def code(text: str) -> str:
    return f"```text\n{text}```\n"


def stamp(found: dict[str, Any]) -> str:
    """The command that measures a table, the machine and the date."""
    machine = found["machine"]
    instructions = ", ".join(machine.get("instructions") or [])
    cpu = f"{machine['cpu']} with {instructions}" if instructions else machine["cpu"]
    return f"<sub>`{found['command']}`, {cpu}, {machine['cores']} cores, {found['date']}</sub>"
