"""Name the operators to change first, by what `edgepress why --sensitivity` measured."""

from __future__ import annotations

from pathlib import PurePath

from ...core.explained import Explained, Likeness, Sensitivity
from ...core.units import show_seconds
from .wording import minus

NAMED = 3
"""Operators that a sentence names."""
WORTH = 0.5
"""Gain in dB below which a return to float is not worth naming."""
RESOLVED = 0.01
"""Share of an inference below which a difference of two profiles is noise: no return to float counts as shorter."""


def show_gain(value: float) -> str:
    return minus(f"{value:+.1f} dB")


def show_likeness(found: Likeness) -> str:
    """Return `31.2 dB, cosine 0.9996`."""
    cosine = "" if found.cosine is None else f", cosine {found.cosine:.4f}"
    return minus(f"{found.sqnr:.1f} dB{cosine}")


def show_longer(found: Explained, row: Sensitivity) -> str:
    """Return by how much one inference is longer with this operator in float; empty where that is not known."""
    if row.seconds is None:
        return ""
    return f"+{show_seconds(row.seconds)}" if row.seconds > _resolved(found) else "no longer"


def advice(found: Explained) -> list[str]:
    """Return sentences: whose return to float wins most, whose wins most per millisecond, and where TFLite differs."""
    worth = [row for row in found.operators if row.gain >= WORTH]
    if not worth:
        first = f"first: no operator alone wins {WORTH:g} dB in float: the error is spread over all of them"
        return [first, *_converted(found)]
    named = ", ".join(f"`{row.node}` ({_called(row)}, {show_gain(row.gain)})" for row in worth[:NAMED])
    first = (
        f"first: return to float: {named}; the outputs' SQNR is {minus(f'{found.sqnr:.1f} dB')}; a stricter `keep:` of "
        "`quantize.static` returns operators by sensitivity"
    )
    return [first, *_per_time(found, worth), *_converted(found)]


def _called(row: Sensitivity) -> str:
    """Return the operator, with the weight that its layer is called by where the node's name tells less."""
    return row.op if row.layer.startswith(row.node) else f"{row.op} of `{row.layer}`"


def _resolved(found: Explained) -> float:
    return RESOLVED * (found.seconds or 0.0)


def _per_time(found: Explained, worth: list[Sensitivity]) -> list[str]:
    least = _resolved(found)
    timed = [(row.gain / max(row.seconds, least), row) for row in worth if row.seconds is not None and least > 0]
    if not timed:
        return []
    most = [row for _, row in sorted(timed, key=lambda pair: -pair[0])[:NAMED]]
    named = ", ".join(f"`{row.node}` ({show_gain(row.gain)}, {show_longer(found, row)})" for row in most)
    return [
        f"most per millisecond: {named}; by onnxruntime's profiles of both files, without the conversions that a "
        "change between int8 and float adds"
    ]


def _converted(found: Explained) -> list[str]:
    rows = [(row.converted, row) for row in found.operators if row.converted]
    if not rows:
        return []
    likeness, row = min(rows, key=lambda pair: pair[0].sqnr)
    return [
        f"in `{PurePath(found.converted).name}`: of {len(rows)} operators `{row.node}` is the least like the ONNX "
        f"file's, {show_likeness(likeness)}"
    ]
