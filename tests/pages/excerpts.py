"""What edgepress prints: the report of the committed run of `mobilenet`, and excerpts of it for the first page."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from edgepress.config import target
from edgepress.config.recipe import load, validate
from edgepress.core.results import Report
from edgepress.gate import judge as gate
from edgepress.gate import start
from edgepress.gate.report import text

from tests.bench import results
from tests.pages import code

MISTAKES = ("temperature: 2", "temprature: 2"), ("ratio: 60%", "ratio: 60")
SHOWN = "raspberry-pi-4"
"""The target of which the first page shows the verdict."""
BUDGETS = re.compile(r"^budgets:\n(?:  .*\n)+", re.MULTILINE)
OPEN = re.compile(r"\n  —.*(?:\n        (?!starting model).*)*")
"""A budget without a number, with the lines below it."""


def whole(name: str) -> str:
    """The report of the committed run `tests/bench/NAME.json`, judged by the targets as they are now."""
    report, _, findings = _recorded(name)
    return code(text.render(report, findings))


def verdict() -> str:
    """Of that report the first line, a table without the changes, one target and the last line."""
    report, _, findings = _recorded()
    blocks = text.render(report, findings).strip("\n").split("\n\n")
    table = next(block for block in blocks if "\nstage " in block).splitlines()
    start = next(number for number, line in enumerate(table) if line.startswith("stage "))
    rows = [line for line in table[start:] if line.startswith("stage ") or not line.startswith((" ", "before "))]
    head = blocks[0].splitlines()
    headline = head[: next(number for number, line in enumerate(head) if line.startswith(f"{report.recipe} "))]
    shown = OPEN.sub("", next(block for block in blocks if block.startswith(f"{SHOWN} ")))
    return code("\n\n".join(["\n".join(headline), "\n".join(rows), shown, blocks[-1]]) + "\n")


def red() -> str:
    """The verdict on the same result under a smaller budget for the file.

    The target is the shipped one with a fifth less than the size that the result has, in whole 100 kB.
    """
    report, targets, findings = _recorded()
    profile = next(each.file for each in targets if each.name == SHOWN)
    size = next(each.value for each in findings if each.target == SHOWN and each.check == "size")
    assert profile
    assert size
    budgets = f"budgets:\n  size: {int(0.8 * size / 1e5) * 100} kB\n  latency: 40 ms\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{SHOWN}.yaml")
        path.write_text(BUDGETS.sub(budgets, profile.read_text(encoding="utf-8")), encoding="utf-8")
        report = report.model_copy(update={"keep": None})
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


def _recorded(name: str = "run") -> tuple[Report, list[target.Target], list[gate.Finding]]:
    """A committed run, its targets, and their verdict on it."""
    report = Report.model_validate_json((results.FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    if report.data["set"]:  # its recipe is complete only with these, such as the folder of photographs
        targets, place = [target.load(Path(file)) for file in report.targets], None
    else:
        recipe = load(Path(report.source))
        targets, place = recipe.load_targets(), recipe.document.place(("keep", "accuracy_drop"))
    return report, targets, start.beside(report, targets, gate.judge(report, targets, place))
