"""Explain the time and bytes of the file that a target judges."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...core.errors import UserError, suggest
from ...engine.last import last
from ...gate import judge

if TYPE_CHECKING:
    from .layers import Layers


def why(path: Path, *, runs: Path, target: str | None) -> tuple[Path, Layers, str]:
    """Explain the file that `target`, or the recipe's first target, judges: its path, its layers, and the text."""
    from .explain import explain
    from .layers import layers

    report, recipe, targets = last(path, runs)
    chosen = next((profile for profile in targets if target in (None, profile.name)), None)
    if chosen is None:
        raise UserError(f"`{recipe.name}` has no target `{target}`", suggest(target or "", [t.name for t in targets]))
    file = judge.judged(report, chosen)
    if file is None:
        raise UserError(f"no stage of `{recipe.name}` makes a file for `{chosen.name}`")
    findings = [finding for finding in judge.judge(report, [chosen]) if finding.target == chosen.name]
    found = layers(Path(file.path))
    return Path(file.path), found, explain(Path(file.path), found, findings, report)
