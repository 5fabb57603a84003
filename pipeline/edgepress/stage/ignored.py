"""Tell which options of training change nothing in the loss of a task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..tasks import Task
    from ..training import Schedule

_NEEDS = {"label_smoothing": "label_smoothing", "temperature": "temperature", "baselines": "label_smoothing"}
"""What a loss has to take notice of, by option; of `balance` it is the option's value."""


def ignored(schedules: list[tuple[tuple[str, ...], Schedule]], task: Task) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield each option that is set and means nothing to `task`: its place in the stage, and how it is written."""
    for place, options in schedules:
        for name in ("balance", *_NEEDS):
            value = getattr(options, name, None)
            own = name == "temperature" and options.softens
            if value and name in options.model_fields_set and not own and _NEEDS.get(name, value) not in task.takes:
                yield (*place, name), f"{name}: {str(value).lower()}"
