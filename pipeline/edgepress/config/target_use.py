"""A target of a recipe with budgets of its own: `{use: raspberry-pi-4, budgets: {latency: 1 ms, size: 700 kB}}`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationInfo, field_validator

from ..core import foreign
from ..core.document import Document
from ..core.errors import Mistake, Problem, UserError
from ..core.metrics import DEFAULTS
from . import target
from .budgets import OF_CLASSES, Budgets, Strict
from .target import Target


def _known(name: str, info: ValidationInfo) -> str:
    if not isinstance(info.context, Document):
        return name
    try:
        file = target.find(name, info.context.path)
    except UserError as error:
        problem = error.problems[0]
        message = "there is no such target" if problem.message.startswith("there is no target") else problem.message
        raise Mistake(message, problem.help) from None
    if wrong := foreign.missing(file, str(file), "a path counts from the recipe's folder"):
        raise Mistake(*wrong)
    return name


Profile = Annotated[str, AfterValidator(_known)]
"""The name of a target profile, or a path that ends in .yaml."""


class TargetUse(Strict):
    """A target profile, with the budgets of this product laid over the profile's own."""

    use: Profile = Field(description="the name of a target profile, or a path that ends in .yaml")
    budgets: Budgets = Field(description="each replaces the profile's budget of the same name; the others stay")

    @field_validator("budgets")
    @classmethod
    def _not_empty(cls, budgets: Budgets) -> Budgets:
        if not budgets.model_fields_set:
            raise Mistake("no budget is set", "write one, such as `size: 700 kB`, or the target's name alone")
        return budgets


def _form(value: Any) -> str:
    return "TargetUse" if isinstance(value, dict | TargetUse) else "str"


# Chosen by its form, so that an error is of the form that was written.
AnyTarget = Annotated[
    Annotated[Profile, Tag("str")] | Annotated[TargetUse, Tag("TargetUse")],
    Discriminator(_form),
]


def name_of(chosen: str | TargetUse) -> str:
    """Return the name of the profile in the recipe."""
    return chosen if isinstance(chosen, str) else chosen.use


def once(chosen: tuple[str | TargetUse, ...]) -> tuple[str | TargetUse, ...]:
    """Refuse a profile that is listed twice."""
    names = [name_of(use) for use in chosen]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Mistake(f"`{twice[0]}` is listed twice", "take one out")
    return chosen


def unjudged(targets: Iterable[Target], task: str | None) -> Iterator[Problem]:
    """Yield the required budgets that models of `task` cannot be held to: they are of classes, one an example."""
    for profile in targets if task in DEFAULTS else ():
        for name, budget in profile.budgets.set_fields():
            if name in OF_CLASSES and budget.level == "required":
                message = f"`{name}` is a budget of classification, and this is a {task} task"
                help = "`keep: {metric_drop: …}` in the recipe limits what its metric loses"
                yield Problem(message, help, profile.place("budgets", name))


def load(document: Document, index: int, chosen: str | TargetUse) -> Target:
    """Read the target at `index` of the recipe `document`. Raises: UserError."""
    file = target.find(name_of(chosen), document.path)
    return target.load(file, None if isinstance(chosen, str) else document.part(("targets", index, "budgets")))
