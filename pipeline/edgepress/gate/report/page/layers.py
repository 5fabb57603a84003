"""Show the layers by time, bytes and error: which one to change first."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from ....core.explained import Explained
from ....core.units import show_bytes, show_seconds
from ..sensitive import show_gain, show_likeness, show_longer
from ..wording import cut, minus
from . import scales, svg

MOST = 12
"""Layers in the plot."""
LEAST = 0.005
"""Share of time or bytes from which a layer that was not compared is listed."""
LEFT, MIDDLE, RIGHT, ROW = 132.0, 258.0, 360.0, 22.0


@dataclass(frozen=True)
class Row:
    """A layer's cells; the last five are empty for what was not compared, or not in both files."""

    name: str
    node: str
    op: str
    holds: str
    bytes: str
    seconds: str
    share: str
    alone: str
    cumulative: str
    gain: str
    longer: str
    converted: str


def rows(found: Explained) -> list[Row]:
    """Return the layers as the plot orders them: those of the highest gain first, the others by time or bytes.

    Others that take next to nothing are left out.
    """
    errors = {row.layer: row for row in reversed(found.operators)}
    total = found.seconds or sum(layer.bytes for layer in found.layers) or 1.0
    table = []
    for layer in sorted(found.layers, key=lambda layer: (-_gain(found, layer.name), -(layer.seconds or layer.bytes))):
        cost = layer.seconds if layer.seconds is not None else float(layer.bytes)
        error = errors.get(layer.name)
        if not error and cost < LEAST * total:
            continue
        compared = ("", "", "", "", "")
        if error:
            both = (show_likeness(error.alone), show_likeness(error.cumulative))
            converted = show_likeness(error.converted) if error.converted else ""
            compared = (*both, show_gain(error.gain), show_longer(found, error), converted)
        seconds = "" if layer.seconds is None else show_seconds(layer.seconds)
        node = "" if error is None or error.node == layer.name else error.node
        cells = (layer.name, node, layer.op, layer.holds, show_bytes(layer.bytes), seconds, f"{cost / total:.0%}")
        table.append(Row(*cells, *compared))
    return table


def _gain(found: Explained, layer: str) -> float:
    return max((row.gain for row in found.operators if row.layer == layer), default=-1000.0)


def drawn(found: Explained) -> Markup:
    """Draw the layers of the highest gain: what each wins in float, beside its share of time, or else of bytes."""
    if not found.operators:
        return Markup("")
    layers = {layer.name: layer for layer in found.layers}
    most = found.operators[:MOST]
    timed = found.seconds is not None
    total = found.seconds or sum(layer.bytes for layer in found.layers) or 1.0

    def share(name: str) -> float:
        layer = layers.get(name)
        return 0.0 if layer is None else (layer.seconds or 0.0 if timed else layer.bytes) / total

    gains, shares = [max(row.gain, 0.0) for row in most], [share(row.layer) for row in most]
    x = scales.linear(0.0, max(*gains, 1.0), LEFT, MIDDLE - 42)
    z = scales.linear(0.0, max(*shares, 0.01), MIDDLE, RIGHT)
    parts = [
        svg.text(LEFT, 11.0, "won in float", "tick"),
        svg.text(MIDDLE, 11.0, "share of time" if timed else "share of bytes", "tick"),
    ]
    for index, row in enumerate(most):
        y = ROW * index + 30
        parts += [
            svg.text(LEFT - 8, y, cut(row.node, 19), "tick", "end"),
            svg.tag("rect", x=LEFT, y=y - 11, width=max(x(gains[index]) - LEFT, 1.0), height=14.0, class_="bar FAIL"),
            svg.text(x(gains[index]) + 4, y, minus(f"{row.gain:+.1f}"), "tick"),
            svg.tag("rect", x=MIDDLE, y=y - 11, width=max(z(shares[index]) - MIDDLE, 1.0), height=14.0, class_="bar"),
            svg.text(z(shares[index]) + 4, y, f"{shares[index]:.0%}", "tick"),
        ]
    label = "The operators whose return to float wins most, in dB of the outputs' SQNR, with their share of time"
    return svg.plot(label, ROW * len(most) + 24, *parts)
