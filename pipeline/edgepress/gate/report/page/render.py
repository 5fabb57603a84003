"""Render a report as one HTML page; every number is written as the text report writes it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....core.explained import Explained
from ....core.printable import lines as printed
from ....core.printable import shown
from ....core.results import Report
from ...judge import Finding, OnUndecided
from .. import change, details, sensitive, verdict
from ..cells import starting
from ..inputs import before_inference

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent
_CODE = re.compile(r"`([^`\n]+)`")


def render(
    report: Report, findings: Sequence[Finding], on_undecided: OnUndecided = "fail", why: Explained | None = None
) -> str:
    """Return the page. `why` has the layers of the result, where they were compared."""
    from . import (
        accepted,
        classes,
        curves,
        fit,
        front,
        latency,
        latency_pairs,
        layers,
        pictures,
        provenance,
        quantization,
        steps,
    )

    embedded, missing = pictures.pictures(report)  # by the paths as they are
    report, findings, why = shown(report), shown(findings), shown(why)
    first, *following = verdict.summary(report, findings, on_undecided)
    kind, status = fit.verdict(findings, on_undecided)
    points = front.points(report)
    recalls, pairs = classes.classes(report, findings), latency_pairs.pairs(report, findings)
    warnings = [("data", words) for words in report.data.get("warnings", ())]
    warnings += [(stage.name, words) for stage in report.stages for words in stage.warnings]
    groups = {finding.target: [each for each in findings if each.target == finding.target] for finding in findings}
    starts = {name: words for name, members in groups.items() if (words := starting(members))}
    content: dict[str, Any] = {
        "report": report,
        "status": status,
        "kind": kind,
        "sign": fit.SIGNS[kind],
        "verdict": first,
        "advice": _unwrapped(following),
        "quantities": change.quantities(report, findings),
        "aims": fit.aims(findings, on_undecided),
        "starts": starts,
        "steps": steps.steps(report),
        "header": steps.header(report),
        "chain": steps.chain(report),
        "points": points,
        "front": front.drawn(points, report.metric, error=report.error, points=report.points),
        "distributions": latency.distributions(report),
        "pairs": pairs,
        "ratios": latency_pairs.ratios(pairs),
        "before": before_inference(report.preprocessing) if report.preprocessing else "",
        "classes": recalls,
        "recalls": classes.drawn(recalls) if recalls else "",
        "trainings": curves.trainings(report),
        "without_curves": curves.without(report),
        "decisions": quantization.decisions(report),
        "remarks": quantization.others(report),
        "emulated": details.emulated(report),
        "why": why,
        "layers": layers.rows(why) if why else [],
        "layer_plot": layers.drawn(why) if why else "",
        "layer_advice": sensitive.advice(why) if why else [],
        "accepted": accepted.rows(report, findings),
        "regressions": accepted.regressions(findings),
        "warnings": warnings,
        "pictures": embedded,
        "pictures_missing": missing,
        "provenance": provenance.provenance(report, findings),
    }
    return page(HERE / "report.html", content)


def page(template: Path, content: dict[str, Any]) -> str:
    """Fill a template; the page may load nothing, and run no script but its own, whatever its texts are."""
    style, script = (((HERE / name).read_text(encoding="utf-8")) for name in ("page.css", "page.js"))
    policy = f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    made = environment(template.parent).get_template(template.name)
    filled = made.render(content, style=style, script=script, policy=policy)
    return printed(filled) + "\n"


@cache
def environment(folder: Path) -> Environment:
    """Return jinja2's environment of the templates in `folder` and here: every text is escaped, and a name that is
    missing is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup, escape

    def code(words: object) -> Markup:
        """Escape a text, and show what is between backticks as code."""
        return Markup(_CODE.sub(r"<code>\1</code>", str(escape(words))))

    made = Environment(
        loader=FileSystemLoader([folder, HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["code"] = code
    return made


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _unwrapped(lines: Sequence[str]) -> list[str]:
    """Join lines that were wrapped for a terminal, without the `Next: ` of the first."""
    paragraphs: list[str] = []
    for line in lines:
        if line.startswith(" ") and paragraphs:
            paragraphs[-1] += f" {line.strip()}"
        else:
            paragraphs.append(line.removeprefix("Next: "))
    return paragraphs
