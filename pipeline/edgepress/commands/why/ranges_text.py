"""Write the ranges of activations as a table, or as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from ...core.printable import as_json, word
from ...core.printable import lines as printed
from ...gate.report.wording import minus
from .ranges import Range, Ranges
from .table import table

FAR = 4.0
"""Extreme over bulk from which the sentence below the table names an operator: 2 of 8 bits are lost to it."""
SHOWN, NAMED = 20, 3


def text(ranges: Ranges) -> str:
    """Return the table of the activations with the farthest outliers, and a sentence that names the worst."""
    found = ranges.operators
    head = ["operator", "", "range", "99.9% within", "outliers", "channels", "int8 holds", "clipped"]
    lines = table([head, *(list(_cells(row)) for row in found[:SHOWN])])
    title = (
        f"activations of {len(found)} operators of {word(Path(ranges.file).name)} on {ranges.examples} {ranges.inputs}"
    )
    more = [f"{len(found) - SHOWN} more have outliers of {found[SHOWN].outliers:.1f}x or less"] if found[SHOWN:] else []
    return printed("\n".join(["", title, *lines, *more, "", _advice(found)]) + "\n")


def _cells(row: Range) -> Iterator[str]:
    yield from (word(row.node), row.op, _span(row.low, row.high), f"{row.bulk:.3g}", f"{row.outliers:.1f}x")
    yield "" if row.channels is None else f"{row.channels:.1f}x"
    yield _span(*row.held) if row.held else ""
    yield "" if row.outside is None else f"{row.outside:.2%}"


def _span(low: float, high: float) -> str:
    return minus(f"{low:.3g} to {high:.3g}")


def _advice(found: Sequence[Range]) -> str:
    far = [row for row in found if row.outliers >= FAR][:NAMED]
    if not far:
        return f"no activation has an extreme of {FAR:g} times its bulk: outliers are no reason of a loss"
    named = ", ".join(f"`{word(row.node)}` ({row.op}, {row.outliers:.1f}x)" for row in far)
    return (
        f"first: outliers of {named}: clip them (`ranges: percentile` of `quantize.static`), or return these operators "
        "to float; `why --sensitivity` measures which loses by it"
    )


def json(ranges: Ranges) -> str:
    rows = [asdict(row) | {"outliers": row.outliers} for row in ranges.operators]
    return as_json(asdict(ranges) | {"operators": rows}) + "\n"
