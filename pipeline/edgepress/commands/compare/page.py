"""Write a comparison as one HTML page, with the numbers and words of its text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...core import stored, stored_samples
from ...core.printable import shown
from ...core.units import show_bytes, show_score, show_seconds
from ...gate.report.page import front
from ...gate.report.page.render import page
from . import text, verdict
from .results import Comparison

_DATA = {"name": str, "images": dict, "unlabelled": int, "classes": dict, "task": dict}
"""What a title takes of `data`, and its type."""


def read(path: Path) -> Comparison:
    """Read a comparison. Raises: UserError for a file that is damaged, or from another version."""
    return stored.read(path, Comparison, _problems, "move it away, and `edgepress compare` makes it anew")


def _problems(comparison: Comparison) -> Iterator[str]:
    """Yield what does not hold together in a comparison."""
    if not stored.is_date(comparison.date):
        yield "date: this cannot be"
    for name, kind in _DATA.items():
        if not isinstance(comparison.data.get(name), kind):
            yield f"data.{name}: this cannot be"
    if not {"train", "validation", "test"} <= {*comparison.data.get("images", {})} or "limited" not in comparison.data:
        yield "data.images: a split is missing"
    if not comparison.routes or not comparison.source:
        yield "routes: there is none"
    expected = stored.Expected(comparison.metric, error=comparison.error, groups=comparison.groups, marked=False)
    for index, result in enumerate(comparison.made):
        if not {"float", "int8"} <= {*result.files} & {*result.agreement}:
            yield f"made.{index}.files: there is no float, or no int8"
        for name, file in result.files.items():
            where = f"made.{index}.files.{name}"
            yield from expected.problems(where, file.scores.get("test", {}), file.correct, file.resampled)
            if file.bytes < 1:
                yield f"{where}.bytes: this cannot be"
    for name in comparison.routes:
        if len(comparison.of(name)) != comparison.repetitions:
            yield f"made: not {comparison.repetitions} of {name}"
    for index, samples in enumerate(comparison.samples):
        yield from stored_samples.of_samples(f"samples.{index}", samples)


def render(comparison: Comparison) -> str:
    """Return the page."""
    comparison = shown(comparison)
    points = {which: _points(comparison, which) for which in ("float", "int8")}
    scale = 100.0 if not comparison.drop_unit.endswith("dB") else 1.0
    plots = {
        which: front.drawn(found, comparison.metric, error=comparison.error, points=scale)
        for which, found in points.items()
    }
    content: dict[str, Any] = {
        "comparison": comparison,
        "title": text.title(comparison),
        "verdict": _verdict(verdict.unwrapped(comparison)),
        "tables": {which: text.cells_of(comparison, which) for which in ("float", "int8")},
        "abouts": text.abouts(comparison),
        "notes": text.notes(comparison),
        "plots": plots,
        "points": points,
        "fits": comparison.fits,
        "recalls": _recalls(comparison),
    }
    return page(Path(__file__).with_name("compare.html"), content)


def _verdict(sentences: list[str]) -> dict[str, Any]:
    """Return the sentence that recommends, those that set it against each other route, and all others, in order."""
    sentences = [words.strip() for words in sentences]
    lead = next((words for words in sentences if words.startswith("Verdict")), sentences[0])
    against = [words for words in sentences if words.startswith("against ")]
    return {
        "lead": lead,
        "against": against,
        "rest": [words for words in sentences if words != lead and words not in against],
    }


def _points(comparison: Comparison, which: str) -> list[front.Point]:
    """Return the routes as points of the front: mean score of the repetitions, time and bytes of the first."""
    found = []
    for name in comparison.routes:
        file, seconds = comparison.of(name)[0].files[which], text.seconds(comparison, name, which)
        scores = [result.files[which].scores["test"][comparison.metric] for result in comparison.of(name)]
        score = sum(scores) / len(scores)
        if seconds is None or not math.isfinite(score):
            continue
        points = 1.0 if comparison.drop_unit.endswith("dB") else 100.0
        shown_score = show_score(score, error=comparison.error, points=points)
        cells = (shown_score, show_seconds(seconds), show_bytes(file.bytes))
        found.append(front.Point(name, "onnx", score, seconds, file.bytes, cells))
    return front.front(found, error=comparison.error)


def _recalls(comparison: Comparison) -> list[list[str]]:
    """Return the mean recall of each class by route, of the int8 files: a header, then those that vary most."""
    names = list(comparison.routes)
    labels = comparison.of(names[0])[0].recalls.get("int8", {})
    rows = []
    for label in labels:
        values = [
            [result.recalls.get("int8", {}).get(label, math.nan) for result in comparison.of(name)] for name in names
        ]
        means = [sum(each) / len(each) for each in values]
        finite = [mean for mean in means if math.isfinite(mean)]
        rows.append((max(finite, default=0) - min(finite, default=0), [label, *(f"{mean:.1%}" for mean in means)]))
    return [["class", *names], *(row for _, row in sorted(rows, key=lambda item: -item[0]))] if rows else []
