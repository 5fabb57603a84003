"""What edgepress prints: the report of the committed run of `mobilenet`, and excerpts of it for the first page."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edgepress.config import target
from edgepress.config.recipe import load, validate
from edgepress.core.results import Report
from edgepress.gate import judge as gate
from edgepress.gate.report import text

from tests.bench import results
from tests.pages import code

MISTAKES = ("temperature: 2", "temprature: 2"), ("ratio: 30%", "ratio: 30")
SHOWN = "raspberry-pi-4"
"""The target of which the first page shows the verdict."""
TIGHT = "size: 500 kB"
"""A budget that the result of `mobilenet` exceeds."""


def run() -> str:
    """The report of the committed run, judged by the targets as they are now."""
    return code(_rendered(*_recorded()))


def verdict() -> str:
    """Of that report the first line, a table without the changes, one target and the last line."""
    blocks = _rendered(*_recorded()).strip("\n").split("\n\n")
    table = next(block for block in blocks if "\nstage " in block).splitlines()
    start = next(number for number, line in enumerate(table) if line.startswith("stage "))
    rows = [line for line in table[start:] if line.startswith("stage ") or not line.startswith((" ", "before "))]
    head = blocks[0].splitlines()
    headline = head[: next(number for number, line in enumerate(head) if line.startswith("mobilenet"))]
    shown = next(block for block in blocks if block.startswith(f"{SHOWN} "))
    return code("\n\n".join(["\n".join(headline), "\n".join(rows), shown, blocks[-1]]) + "\n")


def red() -> str:
    """The verdict on the same result under a smaller budget for the file.

    The target is the shipped one with `TIGHT` in the place of its size, without advisory budgets.
    """
    report, targets, _ = _recorded()
    shipped = next(each for each in targets if each.name == SHOWN)
    assert shipped.file
    lines = shipped.file.read_text(encoding="utf-8").splitlines()
    written = [f"  {TIGHT}" if line.startswith("  size:") else line for line in lines if "advisory" not in line]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{SHOWN}.yaml")
        path.write_text("\n".join(written) + "\n", encoding="utf-8")
        findings = gate.judge(report, [target.load(path)])
        printed = text.render(report, findings).replace(str(path), f"targets/{SHOWN}.yaml")
    blocks = printed.split("\n\n")
    return code("\n\n".join([next(block for block in blocks if block.startswith(f"{SHOWN} ")), blocks[-1]]))


def mistake() -> str:
    """What `validate` prints about the `mobilenet` recipe with two typical mistakes in it."""
    written = Path("recipes/mobilenet.yaml").read_text(encoding="utf-8")
    for right, wrong in MISTAKES:
        assert right in written
        written = written.replace(right, wrong)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mine.yaml")
        path.write_text(written, encoding="utf-8")
        problems = "\n\n".join(str(problem) for problem in validate([path]))
        return code(problems.replace(str(path), "recipes/mine.yaml") + "\n")


def _recorded() -> tuple[Report, list[target.Target], list[gate.Finding]]:
    """The committed run, its targets, and their verdict on it."""
    report = Report.model_validate_json((results.FOLDER / "run.json").read_text(encoding="utf-8"))
    recipe = load(Path(report.source))
    targets = [target.load(file) for file in recipe.target_files()]
    return report, targets, gate.judge(report, targets, recipe.document.place(("keep", "accuracy_drop")))


def _rendered(report: Report, _: list[target.Target], findings: list[gate.Finding]) -> str:
    return text.render(report, findings)
