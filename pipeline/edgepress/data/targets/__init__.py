"""Know raw targets by the kind of task: a file each, and a row in `KINDS`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .boxes import Boxes
from .classes import Classes
from .identity import Identities
from .marks import Marks
from .mask import Masks
from .numbers import Numbers
from .picture import Pictures
from .points import Points
from .target import Link, Targets

if TYPE_CHECKING:
    from ..dataset import Task

__all__ = ["KINDS", "Link", "Targets", "of"]

KINDS: dict[str, Targets] = {
    kind.task: kind for kind in (Classes(), Marks(), Numbers(), Masks(), Points(), Identities(), Pictures(), Boxes())
}
"""By the name of the task."""


def of(task: Task) -> Targets:
    return KINDS[task]
