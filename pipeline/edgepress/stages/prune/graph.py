"""Bound torch-pruning's search for the layers that share channels.

In some networks it finds the same layers again and again, with other channels each time, and does not end; in others
it fails at a view that it misreads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch_pruning import dependency
from torch_pruning.dependency import graph as tracer
from torch_pruning.dependency.group import Group
from torch_pruning.pruner import BasePruner

from ...core import system_errors
from ...models.pruning import tracing

LARGEST = 300_000
"""Channels that a group may count over all of its layers; those of ResNet-50 count 40,000."""

LONGEST = 1_500
"""Cuts of a group; twelve blocks of a transformer have 220."""


class _TooLarge(Exception):
    def __init__(self, group: Group) -> None:
        self.group = group
        super().__init__(f"more than {LARGEST} channels or {LONGEST} cuts in one group")


class _BoundedGroup(Group):
    count = 0

    def add_dep(self, dep: Any, idxs: Any) -> None:
        super().add_dep(dep, idxs)
        self.count += len(idxs)
        if self.count > LARGEST or len(self) > LONGEST:
            raise _TooLarge(self)


class _BoundedGraph(dependency.DependencyGraph):
    """`lost` are the layers whose groups have no end or cannot be followed; such a group has what was found before."""

    def __init__(self) -> None:
        self.lost: set[nn.Module] = set()
        super().__init__()

    def get_pruning_group(self, module: nn.Module, pruning_fn: Any, idxs: Sequence[int]) -> Group:
        try:
            return super().get_pruning_group(module, pruning_fn, idxs)
        except _TooLarge as error:
            group = error.group
        except (AttributeError, IndexError, KeyError, TypeError, ZeroDivisionError):
            node, group = self.module2node[module], Group()
            group.add_dep(dependency.Dependency(pruning_fn, pruning_fn, node, node), list(idxs))
        self.lost.add(module)
        group._DG = self
        return group


class Pruner(BasePruner):
    """torch-pruning's, which passes over groups whose channels it cannot rank; `unranked` are their layers."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.unranked: list[nn.Module] = []
        super().__init__(*args, **options)

    def estimate_importance(self, group: Any) -> Tensor | None:
        root, importance = group[0].dep.target.module, None
        if root not in self.DG.lost:
            try:
                importance = super().estimate_importance(group)
            except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
                system_errors.pass_on(error)
                importance = None
        if importance is None or len(importance) % self._get_channel_groups(group):
            self.unranked.append(root)
            return None
        ranked: Tensor = importance
        return ranked


@contextmanager
def bounded() -> Iterator[None]:
    """Have torch-pruning's pruners bound their groups inside the block."""
    unbounded = dependency.DependencyGraph, tracer.Group
    with tracing():
        dependency.DependencyGraph, tracer.Group = _BoundedGraph, _BoundedGroup
        try:
            yield
        finally:
            dependency.DependencyGraph, tracer.Group = unbounded
