"""Describe the decisions of quantization: SQNR, sensitivity, latency."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...core.keep import NO_FLOATS, shown
from ...core.results import Report
from ...core.units import show_bytes, show_seconds

_NAMED = 4
"""Most operators named one by one; of more, those of highest sensitivity."""


def decisions(report: Report) -> list[str]:
    """Return one sentence per decision of each `quantize.*` stage."""
    return [f"{stage.name}: {words}" for stage in report.stages for words in _words(stage.notes)]


def _words(notes: dict[str, Any]) -> Iterator[str]:
    if steps := notes.get("ladder"):
        yield _ladder(steps)
    for each in notes.get("keep", ()):
        yield shown(each)
    enough = not any({*each["missed"]} - {NO_FLOATS} for each in notes.get("keep", ()))
    if restored := notes.get("restored"):
        yield _restored(
            restored,
            "mixed precision, in float to keep the accuracy"
            if enough
            else "mixed precision, in float and still not enough",
        )
    for preset, rows in notes.get("restored_more", {}).items():
        yield _restored(rows, f"also in float, in {preset}")
    if fills := notes.get("fills"):
        why = "outliers such as the fill values of a mask leave 8 bits for no others"
        yield f"in float, because {why}: {', '.join(fills)}"
    if speed := notes.get("speed"):
        yield _speed(speed)
    for preset, found in notes.items():
        if isinstance(found, dict) and "trained" in found:
            yield _trained(preset, found)


def _ladder(steps: list[dict[str, Any]]) -> str:
    kept = [each for each in steps if each["kept"]]
    words = [f"{kept[0]['step'].replace('ranges: ', 'ranges by ')} (SQNR {kept[0]['decibels']:.1f} dB)"]
    reached = kept[0]["decibels"]
    for each in kept[1:]:
        words.append(f"{_called(each)} {each['decibels'] - reached:+.1f} dB")
        reached = each["decibels"]
    left = [_called(each) for each in steps if not each["kept"] and not each["step"].startswith("ranges")]
    return ", ".join(words) + (f"; did not help: {', '.join(left)}" if left else "")


def _called(step: dict[str, Any]) -> str:
    """The field's name of a step; locks and reports keep the older one."""
    return {"equalisation": "cross-layer equalization", "rounding": "GPTQ rounding"}.get(step["step"], step["step"])


def _restored(rows: list[dict[str, Any]], lead: str) -> str:
    told = [
        f"{each['node']} ({each['operator']}, {_won(each)}{_signed(each['bytes'])}"
        + (f", {_time(each['seconds'])}" if each.get("seconds") is not None else "")
        + ")"
        for each in rows[:_NAMED]
    ]
    more = f", and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    return f"{lead}: {', '.join(told)}{more}"


def _won(row: dict[str, Any]) -> str:
    weights = "float weights, " if "weights" in row else ""
    return weights if row["decibels"] is None else f"{row['decibels']:+.1f} dB, {weights}"


def _speed(speed: dict[str, Any]) -> str:
    tried = {name: f"{value:.2f}x [{low:.2f}–{high:.2f}]" for name, (value, low, high) in speed["tried"].items()}
    chosen, counts = speed["chosen"], speed["operators"]
    others = [f"{name} {each}" for name, each in tried.items() if name != chosen and not name.startswith("mixed")]
    if chosen == "int8":
        return f"int8 takes {tried['int8']} of its float source's time here; {', '.join(others)}"
    slower = ", ".join(f"{count} {operator}" for operator, count in speed["slower"].items())
    return (
        f"on this processor {counts['int8']} of {sum(counts.values())} operators are int8, {tried[chosen]} of the "
        f"float source's time; mixed precision: the others compute in float with int8 weights, since they are slower "
        f"as int8, or their conversions are ({slower}); {', '.join(others)}"
    )


def _trained(preset: str, found: dict[str, Any]) -> str:
    """Goodness on held-out examples; see `Metric.goodness`."""
    kept = "kept" if found["kept"] == "trained" else "not kept"
    values = f"{found['static']:.1f} before training, {found['trained']:.1f} after"
    return f"{preset} by QAT, on held-out validation examples: {values}, {kept}"


def _signed(count: int) -> str:
    return f"{'+' if count >= 0 else '−'}{show_bytes(abs(count))}"


def _time(seconds: float) -> str:
    return f"{'+' if seconds >= 0 else '−'}{show_seconds(abs(seconds))}"
