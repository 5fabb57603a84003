"""Summarize quantization: what helped, what went back to float, and why.

The lines follow from the notes, and not from `Made.summary`: the engine adds the rows of a recipe's `keep`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...core.keep import NO_FLOATS, shown
from ...core.units import show_bytes, show_seconds

_NAMED = 4
"""Most operators named one by one; of more, those of highest sensitivity."""
_COSTLIEST = 3
"""Operators named where `keep` was not reached."""


def lines(notes: dict[str, Any]) -> Iterator[str]:
    """Yield a sentence for each decision in the notes of a stage that quantizes."""
    if steps := notes.get("ladder"):
        yield _ladder(steps)
    for criterion in notes.get("keep", ()):
        yield shown(criterion)
    enough = not any({*criterion["missed"]} - {NO_FLOATS} for criterion in notes.get("keep", ()))
    if restored := notes.get("restored"):
        yield _restored(
            restored,
            "mixed precision, in float to keep the accuracy"
            if enough
            else "mixed precision, in float and still not enough",
        )
    for preset, rows in notes.get("restored_more", {}).items():
        yield _restored(rows, f"also in float, in {preset}")
    if ties := notes.get("ties"):
        yield (
            f"mixed precision, {ties['node']} ({ties['operator']}) in float to tell the likeliest classes apart: 8 "
            f"bits tied them on {ties['before']} of {ties['examples']} held-out examples, float on {ties['after']}"
        )
    for row in notes.get("apart", ()):
        yield _apart(row)
    if fills := notes.get("fills"):
        why = "outliers such as the fill values of a mask leave 8 bits for no others"
        yield f"in float, because {why}: {', '.join(fills)}"
    if speed := notes.get("speed"):
        yield _speed(speed)
    for preset, training in notes.items():
        if isinstance(training, dict) and "trained" in training:
            yield _trained(preset, training)


def costliest(notes: dict[str, Any], presets: Sequence[str]) -> str:
    """Name the operators of highest sensitivity in the files for `presets`; nothing if none was measured."""
    rows = [*notes.get("restored", ()), *notes.get("restored_more", {}).get(presets[0], ())]
    worst = sorted((row for row in rows if (row["decibels"] or 0) > 0), key=lambda row: -row["decibels"])
    if not worst:
        return ""
    named = ", ".join(f"{row['node']} ({row['operator']}, {row['decibels']:.1f} dB)" for row in worst[:_COSTLIEST])
    floats = "no operator may return to float there" if presets == [NO_FLOATS] else "they compute in float already"
    return f"Highest sensitivity as integers: {named}; {floats}"


def _apart(row: dict[str, Any]) -> str:
    ranges = " and ".join(
        f"channels {group['channels']} from {group['low']:.3g} to {group['high']:.3g}" for group in row["groups"]
    )
    nodes = ", ".join(f"{node['node']} ({node['operator']})" for node in row["nodes"][:_NAMED])
    more = f" and {len(row['nodes']) - _NAMED} more" if len(row["nodes"]) > _NAMED else ""
    return (
        f"mixed precision, {nodes}{more} in float, because the output {row['output']} has {ranges}: one scale would "
        "drown the smaller ones"
    )


def reason_for_float(notes: dict[str, Any]) -> str:
    """Return why operators with an int8 form compute in float, by the notes of a file."""
    if notes.get("speed", {}).get("chosen", "int8") != "int8":
        return "slower as int8 on this processor, as `faster` measured; nothing to gain there"
    if notes.get("ties"):
        return "8-bit integers of so many classes tie at the top; the last layer in float tells them apart"
    if notes.get("apart"):
        return "an output has channels of very different ranges, which one int8 scale would drown"
    if notes.get("restored"):
        return "`keep` holds it in float, for the accuracy (mixed precision)"
    return "the file was quantized so"


def _ladder(steps: list[dict[str, Any]]) -> str:
    helped = [step for step in steps if step["kept"]]
    words = [f"{helped[0]['step'].replace('ranges: ', 'ranges by ')} (SQNR {helped[0]['decibels']:.1f} dB)"]
    reached = helped[0]["decibels"]
    for step in helped[1:]:
        words.append(f"{_called(step)} {step['decibels'] - reached:+.1f} dB")
        reached = step["decibels"]
    dropped = [_called(step) for step in steps if not step["kept"] and not step["step"].startswith("ranges")]
    return ", ".join(words) + (f"; did not help: {', '.join(dropped)}" if dropped else "")


def _called(step: dict[str, Any]) -> str:
    """Return the field's name of a step; locks and reports keep the older one."""
    return {
        "equalisation": "cross-layer equalization",
        "equalisation of groups": "equalization through joins",
        "rounding": "GPTQ rounding",
    }.get(step["step"], step["step"])


def _restored(rows: list[dict[str, Any]], lead: str) -> str:
    words = [
        f"{row['node']} ({row['operator']}, {_won(row)}{_signed(row['bytes'])}"
        + (f", {_time(row['seconds'])}" if row.get("seconds") is not None else "")
        + ")"
        for row in rows[:_NAMED]
    ]
    more = f", and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    return f"{lead}: {', '.join(words)}{more}"


def _won(row: dict[str, Any]) -> str:
    weights = "float weights, " if "weights" in row else ""
    return weights if row["decibels"] is None else f"{row['decibels']:+.1f} dB, {weights}"


def _speed(speed: dict[str, Any]) -> str:
    tried = {
        name: f"{value:.2f}x" + (f" [{low:.2f}–{high:.2f}]" if low < high else "")
        for name, (value, low, high) in speed["tried"].items()
    }
    chosen, counts = speed["chosen"], speed["operators"]
    rest = [f"{name} {text}" for name, text in tried.items() if name != chosen and not name.startswith("mixed")]
    if chosen == "int8":
        more = f"; {', '.join(rest)}" if rest else ""
        return f"int8 takes {tried['int8']} of its float source's time here{more}"
    slower = ", ".join(f"{count} {operator}" for operator, count in speed["slower"].items())
    return (
        f"on this processor {counts['int8']} of {sum(counts.values())} operators are int8, {tried[chosen]} of the "
        f"float source's time; mixed precision: the others compute in float with int8 weights, since they are slower "
        f"as int8, or their conversions are ({slower}); {', '.join(rest)}"
    )


def _trained(preset: str, training: dict[str, Any]) -> str:
    """Return the sentence on training; scores are on held-out examples."""
    verdict = "kept" if training["kept"] == "trained" else "not kept"
    values = f"{training['static']:.1f} before training, {training['trained']:.1f} after"
    return f"{preset} by QAT, on held-out validation examples: {values}, {verdict}"


def _signed(count: int) -> str:
    return f"{'+' if count >= 0 else '−'}{show_bytes(abs(count))}"


def _time(seconds: float) -> str:
    return f"{'+' if seconds >= 0 else '−'}{show_seconds(abs(seconds))}"
