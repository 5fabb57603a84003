"""Show the layers by time, bytes and error: which one to change first."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from ....core.explained import Explained, Likeness, Sensitivity
from ....core.units import show_bytes, show_seconds
from ..wording import cut
from . import scales, svg

MOST = 12
"""Layers in the plot."""
LEAST = 0.005
"""Share of time or bytes from which a layer that was not compared is listed."""
NAMED = 3
"""Operators whose return to float is named."""
WORTH = 0.5
"""Gain in dB below which a return to float is not worth naming."""
LEFT, MIDDLE, RIGHT, ROW = 132.0, 258.0, 360.0, 22.0


@dataclass(frozen=True)
class Row:
    """A layer's cells; the last four are empty for what was not compared."""

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


def show_gain(value: float) -> str:
    return f"{value:+.1f} dB".replace("-", "−")


def show_likeness(found: Likeness) -> str:
    """Return `31.2 dB, cosine 0.9996`."""
    cosine = "" if found.cosine is None else f", cosine {found.cosine:.4f}"
    return f"{found.sqnr:.1f} dB{cosine}".replace("-", "−")


def advice(found: Explained) -> list[str]:
    """Name the operators whose return to float wins most, the first of them first."""
    worth = [row for row in found.operators if row.gain >= WORTH][:NAMED]
    if not worth:
        return [f"no operator alone wins {WORTH:g} dB in float: the error is spread over all of them"]
    named = ", ".join(f"`{row.node}` ({_called(row)}, {show_gain(row.gain)})" for row in worth)
    return [
        f"return to float: {named}; the outputs' SQNR is {found.sqnr:.1f} dB; a stricter `keep:` of `quantize.static` "
        "returns operators by sensitivity"
    ]


def _called(row: Sensitivity) -> str:
    """Return the operator, with the weight that its layer is called by where the node's name tells less."""
    return row.op if row.layer.startswith(row.node) else f"{row.op} of `{row.layer}`"


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
        compared = ("", "", "")
        if error:
            compared = (show_likeness(error.alone), show_likeness(error.cumulative), show_gain(error.gain))
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
            svg.text(x(gains[index]) + 4, y, f"{row.gain:+.1f}".replace("-", "−"), "tick"),
            svg.tag("rect", x=MIDDLE, y=y - 11, width=max(z(shares[index]) - MIDDLE, 1.0), height=14.0, class_="bar"),
            svg.text(z(shares[index]) + 4, y, f"{shares[index]:.0%}", "tick"),
        ]
    label = "The operators whose return to float wins most, in dB of the outputs' SQNR, with their share of time"
    return svg.plot(label, ROW * len(most) + 24, *parts)
