"""Define the results of a comparison: `compare.json` is a `Comparison`.

Tables and verdict are made from it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ...core.metrics import points_of
from ...core.results import Facts, Machine, ModelFile, Samples

FILE = "compare.json"
HALF = "half"
"""The route that estimates what more labels would bring."""


class RouteResult(Facts):
    """One route, or recipe, in one repetition."""

    route: str
    repetition: int
    parameters: int
    macs: int | None
    passes: int
    """Networks that run in one inference."""
    files: dict[str, ModelFile]
    """`float` and `int8`."""
    judged: dict[str, list[ModelFile]] = Field(default_factory=dict)
    """Of the first repetition, by `float` and `int8`: the last files of each kind and preset, which targets judge."""
    reference: list[ModelFile] = Field(default_factory=list)
    """Of the first repetition, the files of the result that the recipe counts drops from; empty where it is none of the
    results of a route."""
    kept: dict[str, dict[str, list[dict[str, Any]]]] = Field(default_factory=dict)
    """Of the first repetition, by `float` and `int8`: stage → the rows of a `keep` that the recipe writes there, as the
    notes of a run have them."""
    unfit: str = ""
    """Why there is no TFLite file, where a target runs one."""
    agreement: dict[str, float]
    """Share of test examples on which each file predicts the class of the repetition's strongest float model."""
    recalls: dict[str, dict[str, float]]
    """Recall of each class, by file."""
    effort: float
    """Examples × epochs × multiply-accumulates of training, in this route and all that it is made from, as a
    multiple of the student's own, or of the least route's or recipe's. A pass of a teacher, which has no gradients,
    counts a third; what was loaded cost nothing to train here."""
    counted: bool = True
    """Whether the multiply-accumulates of every network are known; else each network counts the same."""


class Fits(Facts):
    """Verdict of a target on a route's file."""

    route: str
    which: Literal["float", "int8"]
    target: str = ""
    """Whose budgets; `recipe` for its own `keep`. Empty in older files: `Comparison.target`."""
    checks: dict[str, str]
    """Budget → `ok`, `FAIL`, `undecided` or `no number`."""
    said: list[str]
    """Each budget in words."""


class Comparison(Facts):
    """Everything that the table and the verdict need."""

    version: Literal[1] = 1
    name: str
    source: list[str]
    date: str
    machine: Machine
    versions: dict[str, str]
    data: dict[str, Any]
    metric: str
    error: bool
    """Whether the metric is lower for a better model."""
    labels: list[str]
    routes: dict[str, str]
    """Name → what it is, in the order of the table. Recipes have a `source` each, the routes of one have one."""
    left_out: tuple[str, ...] = ()
    """What the recipe does to its student after the distillation, and no route does."""
    repetitions: int
    made: list[RouteResult]
    samples: list[Samples]
    """Of the first repetition's files."""
    target: str | None = None
    """The one that the pick must be shown to meet: measured here or estimated."""
    others: tuple[str, ...] = ()
    """Those that are judged besides, except for measurements on an attached device."""
    groups: list[int] = Field(default_factory=list)
    """As in `Report`."""
    constant: float | None = None
    fits: tuple[Fits, ...] = ()
    price: float | None = None
    """What an hour of one core costs."""

    @property
    def drop_unit(self) -> str:
        """Return the unit of a difference of the metric behind its number; none of an error."""
        return "" if self.error else " points" if points_of(self.metric) > 1 else " dB"

    @property
    def candidates(self) -> list[str]:
        """Return the routes that may be picked."""
        return [route for route in self.routes if route != HALF]

    def of(self, route: str) -> list[RouteResult]:
        """Return the results of a route, by repetition."""
        return [result for result in self.made if result.route == route]
