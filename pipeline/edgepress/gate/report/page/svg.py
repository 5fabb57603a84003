"""Write inline SVG: elements whose texts are escaped.

Colours are classes of the page's style, so that a plot follows light, dark and print. No plot tells anything by colour
alone, and what it shows stands in a table or a sentence beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

WIDTH = 400.0
"""Units of a plot, which is as wide as a phone shows it: text of 11 units is then about 11 pixels high."""


def tag(name: str, *content: str, **attributes: Any) -> Markup:
    """Return an element; `class_` and `stroke_width` stand for `class` and `stroke-width`."""
    words = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _plain(value)) for key, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), words, Markup("").join(content))


def plot(label: str, height: float, *content: str, width: float = WIDTH, class_: str = "plot") -> Markup:
    """Return a drawing that a screen reader reads as `label`."""
    box = f"0 0 {_plain(width)} {_plain(height)}"
    return tag("svg", *content, class_=class_, viewBox=box, role="img", aria_label=label)


def text(x: float, y: float, words: str, class_: str = "", anchor: str = "start") -> Markup:
    return tag("text", words, x=x, y=y, class_=class_, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: Sequence[tuple[float, float]], class_: str) -> Markup:
    """Return a line through points, which is not filled."""
    steps = " L".join(f"{_plain(x)} {_plain(y)}" for x, y in points)
    return tag("path", d=f"M{steps}", class_=class_, fill="none")


def whisker(low: float, high: float, y: float, class_: str = "whisker") -> Markup:
    """Return a horizontal interval with its two ends."""
    steps = (
        f"M{_plain(low)} {_plain(y)}H{_plain(high)}M{_plain(low)} {_plain(y - 4)}v8M{_plain(high)} {_plain(y - 4)}v8"
    )
    return tag("path", d=steps, class_=class_, fill="none")


def _plain(value: Any) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
