"""Distil, fuse, both or neither: a row for each situation, and a picture of the one that the project is for."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from edgepress.gate.report.page import scales, svg

from tests.bench import results
from tests.pages import stamp

TITLES = {
    "few": "300 labels, 6,700 images without, two teachers that saw 55,000 images",
    "few, own teachers": "300 labels, 6,700 images without, three teachers that saw the same 300",
    "equal": "2,000 labels, and teachers that saw the same 2,000",
    "noisy 20%": "4,000 labels, 20% of them wrong",
    "noisy 40%": "4,000 labels, 40% of them wrong",
    "imbalanced": "classes thinned out to 50:1, macro-F1",
    "sensor": "smartwatch exercises, uneven as recorded, macro-F1",
    "sensor, noisy 40%": "the same, 40% of the labels wrong",
    "shipped": "`mobilenet`: 7,000 labels, two teachers that saw 55,000, and a budget that neither meets",
}
WITHOUT = ("longer", "plain")
"""The student on labels alone, for as much compute where that was trained too."""
LEFT, RIGHT, TOP, BOTTOM = 52.0, 388.0, 14.0, 236.0
STYLE = (
    "text{font:11px sans-serif;fill:#777}.grid{stroke:#8884;stroke-width:.5}.bar{stroke:#c60;stroke-width:1.5}"
    ".join{stroke:#8888;stroke-dasharray:2 3}.float{fill:none;stroke:#c60;stroke-width:1.5}.int8{fill:#c60}"
)
PICTURE = Path(__file__).parents[2] / "docs" / "distil-or-fuse.svg"


def table() -> str:
    """The pick of `compare`, what distilling and fusing gain as int8, and the command, situation by situation."""
    found = results.read("compare")
    heads = ["situation", "pick", "student of the fusion − labels alone", "− student of the best teacher"]
    heads += ["fusion − best teacher", "run"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for case, title in TITLES.items():
        if case not in found["cases"]:
            continue
        row = found["cases"][case]
        told = row | row.get("whole", {})
        alone = next(route for route in WITHOUT if route in told["scores"])
        (pick,) = re.findall(r"^Verdict: (\w+)", row["text"], re.MULTILINE)
        pairs = [f"both - {alone}", "both - distill", "fuse - teacher"]
        gains = [_interval(told["differences"][pair]["int8"]) for pair in pairs]
        if "labels" in row:
            gains[0] += f"; as many labels: {needed(row)}"
        changes = "".join(f" --set {change}" for change in row["changes"])
        command = f"`edgepress compare {row['recipe']}{changes}`"
        lines.append("| " + " | ".join([f"{title}; {row['seeds']} seeds", f"`{pick}`", *gains, command]) + " |")
    words = (
        "int8 files; differences in points with 95% intervals over seeds and test images, on all 10,000 official test "
        "images where the data is Fashion-MNIST. Labels alone: `longer`, for as much compute, where that was trained, "
        "else `plain`. Each case is a run of its own, dated in `tests/bench/compare.json`; the last one:"
    )
    return "\n".join([*lines, "", f"{words} {stamp(found)}"]) + "\n"


def needed(row: dict[str, Any]) -> str:
    """How many labels the student alone needs to be as good as the one of the fusion, by the logarithm of labels."""
    goal = fmean(row["whole"]["scores"]["both"]["int8"])
    reached = [
        (int(many), max(fmean(scores[route]["int8"]) for route in WITHOUT)) for many, scores in row["labels"].items()
    ]
    for (fewer, low), (more, high) in pairwise(reached):
        if high >= goal > low:
            count = math.exp(math.log(fewer) + (goal - low) / (high - low) * math.log(more / fewer))
            return f"about {int(float(f'{count:.2g}')):,}"
    return f"over {reached[-1][0]:,}"


def picture() -> str:
    """Accuracy over milliseconds of the first case's routes: float as rings, int8 as discs, with intervals."""
    row = results.read("compare")["cases"]["few"]
    levels = row["whole"]["levels"]
    points = {
        (route, which): (cost[which]["seconds"] * 1e3, levels[route][which])
        for route, cost in row["costs"].items()
        for which in ("float", "int8")
    }
    times = [time for time, _ in points.values()]
    first, last = min(times) / 1.3, max(times) * 1.3
    low, high = scales.padded([end for _, level in points.values() for end in (level["low"], level["high"])])
    x, y = scales.logarithmic(first, last, LEFT, RIGHT), scales.linear(low, high, BOTTOM, TOP)
    parts = [
        svg.tag("style", STYLE),
        scales.x_axis(x, scales.log_ticks(first, last), lambda value: f"{value:g} ms", TOP, BOTTOM),
        scales.y_axis(y, scales.ticks(low, high), lambda value: f"{value:g}%", LEFT, RIGHT),
        svg.text((LEFT + RIGHT) / 2, BOTTOM + 30, "latency of one image, logarithmic", "", "middle"),
    ]
    for route in row["costs"]:
        ends = [(x(time), y(level["mean"])) for time, level in (points[route, which] for which in ("float", "int8"))]
        parts.append(svg.path(ends, "join"))
        for which, (across, down) in zip(("float", "int8"), ends, strict=True):
            level = points[route, which][1]
            parts.append(svg.line(across, y(level["low"]), across, y(level["high"]), "bar"))
            parts.append(svg.tag("circle", cx=across, cy=down, r=4.0, class_=which))
        parts.append(svg.text(max(end[0] for end in ends) + 7, ends[0][1] + 4, route))
    label = "Accuracy over latency of each route, float and int8, with 95% intervals"
    drawing = svg.plot(label, BOTTOM + 34, *parts)
    return str(drawing).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _interval(gain: dict[str, float]) -> str:
    return f"{gain['mean']:+.1f} [{gain['low']:+.1f}, {gain['high']:+.1f}]"
