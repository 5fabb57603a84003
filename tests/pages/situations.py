"""Distil, fuse, both or neither: what `compare` picks in each situation, the costs, and a picture of them."""

from __future__ import annotations

import math
import re
from typing import Any

from edgepress.core.units import show_bytes, show_seconds
from edgepress.gate.report.page import svg

from tests.bench import results
from tests.bench.compare import LABELLED, LABELS
from tests.pages import stamp

SITUATIONS = {
    "few": "few labels: 300, 6,700 images without; teachers of 55,000 images",
    "few, own teachers": "few labels: 300, 6,700 images without; teachers of the same 300",
    "shipped": "strong teachers, of 55,000 images; 7,000 labels",
    "equal": "equal data: 2,000 labels for teachers and student",
    "noisy 20%": "noisy: 4,000 labels, 20% of them wrong",
    "noisy 40%": "noisy: 4,000 labels, 40% of them wrong",
    "sensor, noisy 40%": "noisy: smartwatch, 40% of the labels wrong, macro-F1",
    "imbalanced": "imbalanced: classes of 50:1, macro-F1",
    "sensor": "imbalanced: smartwatch exercises as recorded, macro-F1",
    "tiny budget": "few labels, and budgets of 64 kB and a fifth of the time of MobileNetV3 small",
    "several devices": "few labels, and budgets of this machine, a Raspberry Pi Zero 2 W and a Pixel",
}
"""Cases of tests/bench/compare.py, in the order of the page."""
FILES = ("float", "int8")


def situations() -> str:
    """The pick of `compare` in each situation, with the differences that decide, before and after int8."""
    found = results.read("compare")
    heads = ["situation", "pick", "student of the fusion − labels alone", "fusion − best teacher"]
    heads += ["student of the fusion − of the best teacher", "run"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, title in SITUATIONS.items():
        row = found["cases"].get(name, {})
        if "recipe" not in row:  # not run yet, or by an older version
            continue
        differences = row.get("whole", row)["differences"]
        pairs = (f"both - {_alone(row)}", "fuse - teacher", "both - distill")
        cells = [title, f"`{_pick(row)}`", *(_differences(differences[pair]) for pair in pairs), f"`{_command(row)}`"]
        lines.append("| " + " | ".join(cells) + " |")
    words = (
        "The pick is the verdict of `compare`, on the test images that are shipped. "
        "Points, float and int8, with 95% intervals over seeds and test examples: of Fashion-MNIST all 10,000 official "
        "test images, of the smartwatch other people than in training. `labels alone` trains for as much compute as "
        "the teachers and the distilled student (`longer`), or, where that is no route, for as many epochs (`plain`)."
    )
    return "\n".join([*lines, "", f"{words} {stamp(found)}"]) + "\n"


def tried() -> str:
    """What was changed to bring more of a fusion's gain to its student, and what came of it."""
    cases = results.read("compare")["cases"]
    tried_ = [name for name in cases if name.partition(": ")[1]]
    if not tried_:
        return "None of the cases of `TRIED` in tests/bench/compare.py has been run yet.\n"
    heads = ["int8", "`fuse`", "`both`", "fusion − best teacher", "student of the fusion − of the best teacher"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for case in dict.fromkeys(name.partition(": ")[0] for name in tried_):
        rows = {name.partition(": ")[2]: cases[name] for name in tried_ if name.startswith(f"{case}: ")}
        rows = ({f"**{case}**": cases[case]} if case in cases else {}) | rows
        lines += [_tried(title, row) for title, row in rows.items()]
    return "\n".join([*lines, "", "Points on all 10,000 test images; 5 seeds, or those of the case above."]) + "\n"


def _tried(title: str, row: dict[str, Any]) -> str:
    whole = row["whole"]
    levels = [f"{whole['levels'][route]['int8']['mean']:.1f}%" for route in ("fuse", "both")]
    gains = [_estimate(whole["differences"][pair]["int8"]) for pair in ("fuse - teacher", "both - distill")]
    return "| " + " | ".join([title, *levels, *gains]) + " |"


def _alone(row: dict[str, Any]) -> str:
    return "longer" if "longer" in row["scores"] else "plain"


def _pick(row: dict[str, Any]) -> str:
    (pick,) = re.findall(r"^Verdict: (\w+)", row["text"], re.MULTILINE)
    return str(pick)


def _differences(difference: dict[str, Any]) -> str:
    return "<br>".join(_estimate(difference[which]) for which in FILES)


def _estimate(value: dict[str, Any]) -> str:
    words = f"{value['mean']:+.1f} [{value['low']:+.1f}, {value['high']:+.1f}]"
    return f"**{words}**" if value["low"] > 0 or value["high"] < 0 else words


def _command(row: dict[str, Any]) -> str:
    words = ["edgepress compare", row["recipe"], f"--seeds {row['seeds']} --routes {row['routes']}"]
    words += [f'--set "{change}"' for change in row["changes"]]
    return " ".join([*words, *([f"--target {row['target']}"] if row["target"] else [])])


def costs() -> str:
    """Bytes, time, networks in an inference and compute of each route where labels are few."""
    row = results.read("compare")["cases"]["few"]
    heads = ["route", "float", "int8", "bytes, float", "int8", "time, float", "int8", "passes", "compute to train"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for route, cost in row["costs"].items():
        levels = row["whole"]["levels"][route]
        cells = [f"`{route}`", *(f"{levels[which]['mean']:.1f}%" for which in FILES)]
        cells += [show_bytes(cost[which]["bytes"]) for which in FILES]
        cells += [show_seconds(cost[which]["seconds"]) for which in FILES]
        compute = f"x{cost['effort']:.1f}" if cost["effort"] else "loaded"
        lines.append("| " + " | ".join([*cells, str(cost["passes"]), compute]) + " |")
    return "\n".join([*lines, "", _labels(row)]) + "\n"


def _labels(row: dict[str, Any]) -> str:
    """How many labels the student alone needs for the accuracy of the distilled one, seed by seed."""
    needed = {which: _needed(row, which) for which in FILES}
    words = [
        f"{which} {_counted(sorted(counts)[len(counts) // 2])} ({_counted(min(counts))} to {_counted(max(counts))})"
        for which, counts in needed.items()
    ]
    return (
        "For the accuracy of `both` on 300 labels, the student alone needs so many labels, trained for as much "
        f"compute: {words[0]}, {words[1]}, the median over {len(needed['int8'])} seeds, least and most in brackets, "
        f"between the counts that were trained ({', '.join(f'{int(count):,}' for count in row['labels'])})."
    )


def _needed(row: dict[str, Any], which: str) -> list[float]:
    """The count of labels at which each seed's student alone reaches the distilled one; infinite beyond the last."""
    counts = [int(count) for count in row["labels"]]
    found = []
    for seed, goal in enumerate(row["whole"]["scores"]["both"][which][:LABELLED]):
        reached = [scores["longer"][which][seed] for scores in row["labels"].values()]
        above = next((i for i, score in enumerate(reached) if score >= goal), None)
        if above is None or above == 0:
            found.append(math.inf if above is None else float(counts[0]))
            continue
        share = (goal - reached[above - 1]) / (reached[above] - reached[above - 1])
        found.append(counts[above - 1] * (counts[above] / counts[above - 1]) ** share)
    return found


def _counted(count: float) -> str:
    return f"{int(float(f'{count:.2g}')):,}" if math.isfinite(count) else f"over {LABELS[-1]:,}"


LEFT, RIGHT, TOP, BOTTOM = 44, 600, 16, 300
SHORT = 40
"""Width of a pair of points below which its name stands beside it."""
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#333}.axis{stroke:#999}.grid{stroke:#ddd}.whisker{stroke:#1f6feb}"
    ".join{stroke:#1f6feb;stroke-dasharray:3 3}.int8{fill:#1f6feb}.float{fill:#fff;stroke:#1f6feb;stroke-width:1.5}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.grid{stroke:#444}.float{fill:#111}}"
)


def picture() -> str:
    """Accuracy over milliseconds where labels are few, of each route: before int8 hollow, after it filled."""
    row = results.read("compare")["cases"]["few"]
    routes = [route for route in row["costs"] if route != "half"]
    levels = {route: row["whole"]["levels"][route] for route in routes}
    times = {route: {which: 1e3 * row["costs"][route][which]["seconds"] for which in FILES} for route in routes}
    every = [time for each in times.values() for time in each.values()]
    least, most = math.log10(min(every)) - 0.1, math.log10(max(every)) + 0.35
    low = 5 * math.floor(min(each[which]["low"] for each in levels.values() for which in FILES) / 5)
    high = 5 * math.ceil(max(each[which]["high"] for each in levels.values() for which in FILES) / 5)

    def x(time: float) -> float:
        return LEFT + (RIGHT - LEFT) * (math.log10(time) - least) / (most - least)

    def y(score: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (score - low) / (high - low)

    parts = [svg.tag("style", STYLE)]
    for score in range(low, high + 1, 5):
        parts += [svg.line(LEFT, y(score), RIGHT, y(score), "grid"), svg.text(LEFT - 6, y(score) + 4, f"{score}%",
                                                                              anchor="end")]  # fmt: skip
    for time in (1, 2, 5):
        for power in range(-2, 2):
            each = time * 10.0**power
            if least <= math.log10(each) <= most:
                parts += [svg.line(x(each), BOTTOM, x(each), BOTTOM + 4, "axis"),
                          svg.text(x(each), BOTTOM + 18, f"{each:g} ms", anchor="middle")]  # fmt: skip
    parts.append(svg.line(LEFT, BOTTOM, RIGHT, BOTTOM, "axis"))
    for route in routes:
        pair = [(x(times[route][which]), y(levels[route][which]["mean"])) for which in FILES]
        parts.append(svg.path(pair, "join"))
        for which, (across, down) in zip(FILES, pair, strict=True):
            reach = [y(levels[route][which][end]) for end in ("low", "high")]
            parts += [svg.path([(across, reach[0]), (across, reach[1])], "whisker"),
                      svg.tag("circle", cx=across, cy=down, r=4, class_=which)]  # fmt: skip
    ends = {route: sorted(x(time) for time in times[route].values()) for route in routes}
    short = [route for route in routes if ends[route][1] - ends[route][0] < SHORT]
    beside = {route: (ends[route][1] + 10, y(levels[route]["float"]["mean"]) + 4) for route in short}
    parts += [svg.text(*place, route) for route, place in _apart(beside).items()]
    for route in routes:
        if route not in short:
            middle, down = sum(ends[route]) / 2, y(levels[route]["float"]["mean"]) + 18
            parts.append(svg.text(middle, down, route, anchor="middle"))
    label = "Accuracy on 10,000 test images over the time of one inference, of every route"
    drawn = svg.plot(label, BOTTOM + 28.0, *parts, width=RIGHT + 20.0)
    return str(drawn).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _apart(places: dict[str, tuple[float, float]], gap: float = 13) -> dict[str, tuple[float, float]]:
    """Move words down that would lie over others."""
    placed: dict[str, tuple[float, float]] = {}
    for name, (across, start) in sorted(places.items(), key=lambda item: item[1][1]):
        down = start
        while any(abs(down - other) < gap and abs(across - beside) < 60 for beside, other in placed.values()):
            down += 1
        placed[name] = (across, down)
    return placed
