"""`make readme`: the generated parts of README.md and docs/, from the committed result files and from the classes."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.pages import (
    amounts,
    coverage,
    detectors,
    excerpts,
    first_page,
    gate,
    int8,
    peers,
    prune,
    reference,
    situations,
    tasks,
    torture,
    training,
)

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PART = re.compile(r"(<!-- generated: ([a-z0-9-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

BLOCKS: dict[str, Callable[[], str]] = {
    "verdict": excerpts.verdict,
    "red": excerpts.red,
    "only-here": first_page.only_here,
    "run": partial(excerpts.whole, "run"),
    "mistake": excerpts.mistake,
    "boards": partial(excerpts.whole, "boards"),
    "slower": gate.slower,
    "gate": gate.falsely,
    "estimates": gate.estimates,
    "ssh": gate.over_ssh,
    "emulate": gate.emulate,
    "efficientnet": int8.efficientnet,
    "calibration": int8.calibration,
    "foreign": int8.foreign,
    "detectors": detectors.detectors,
    "detect": detectors.detect,
    "quant-cost": amounts.quant_cost,
    "streaming": amounts.streaming,
    "memory": amounts.memory,
    "quant": int8.quant,
    "quant-peers": peers.quant_peers,
    "precision": int8.precision,
    "coverage": coverage.coverage,
    "prune": prune.prune,
    "situations": situations.situations,
    "situations-costs": situations.costs,
    "situations-tried": situations.tried,
    "distill": training.distill,
    "tasks": tasks.tasks,
    "train": training.train,
    "baselines": training.baselines,
    "torture": torture.torture,
    "isolation": torture.isolation,
    "recipe-options": reference.recipe,
    "stages": reference.stages,
    "targets": reference.targets,
    "data": reference.data,
    "recipes": reference.catalogue,
}
PICTURES: dict[str, Callable[[], str]] = {"distil-or-fuse.svg": situations.picture}
"""File below docs/ → what draws it."""


def rendered(page: str) -> str:
    """`page` with every generated part rendered again."""
    return PART.sub(lambda part: part[1] + BLOCKS[part[2]]() + part[3], page)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(rendered(path.read_text(encoding="utf-8")), encoding="utf-8")
    for name, draw in PICTURES.items():
        (ROOT / "docs" / name).write_text(draw(), encoding="utf-8")
