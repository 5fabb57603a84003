"""Judge the `keep` of a recipe and of its stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..config.target import Target
from ..core import keep
from ..core.errors import Place
from ..core.metrics import points_of
from ..core.results import Report
from . import accuracy
from .files import judged
from .finding import Finding, Status, Unit

_WORSE: tuple[Status, ...] = ("ok", "undecided", "no number", "FAIL")


def of_stages(report: Report) -> list[Finding]:
    """Judge the `keep` options of the recipe's stages: the worst of their files, on held-out examples."""
    findings = []
    for stage in report.stages:
        for row in keep.judged(stage.notes):
            worse = min if row["higher"] else max
            preset = worse(row["missed"] or row["found"], key=row["found"].__getitem__)
            path = next((file.path for file in stage.files if file.precision == preset), "")
            name = "accuracy_drop" if row["by"] == "accuracy" else f"metric_drop ({row['by']})"
            own, least, value = row["float"], row["least"], row["found"][preset]
            points = points_of(row["by"])
            unit: Unit = "ratio" if not row["higher"] else "points" if points > 1 else "decibels"
            lost, limit = (
                (points * (own - value), points * (own - least)) if row["higher"] else (value / (least or 1e-12), 1.0)
            )
            status: Status = "FAIL" if row["missed"] else "ok"
            finding = Finding("recipe", f"keep {name} of {stage.name}", "required", status, limit, unit, lost)
            findings.append(replace(finding, label="measured", basis=f"{preset} on held-out examples", file=path))
    return findings


def of_recipe(report: Report, targets: Sequence[Target], place: Place | None) -> Finding:
    """Judge the recipe's `keep` by the worst drop of the files that go to a target.

    Their outputs are those on the target; without a target, the files are the last stage's.
    """
    assert report.keep is not None
    unit: Unit = report.drop_unit
    check = "keep accuracy_drop" if report.metric == "accuracy" else f"keep metric_drop ({report.metric})"
    finding = Finding("recipe", check, "required", "no number", report.keep, unit, place=place)
    drops = [
        accuracy.judge_on_target(report, target, file, replace(finding, file=file.path), accuracy.dropped, help="")
        for target in targets
        if (file := judged(report, target))
    ]
    if not drops and report.stages:
        drops = [
            accuracy.dropped(
                report, file, replace(finding, file=file.path, basis=accuracy.images(report, file, "local"))
            )
            for file in report.stages[-1].files
        ]
    return max(drops, key=lambda drop: (_WORSE.index(drop.status), drop.value or 0), default=finding)
