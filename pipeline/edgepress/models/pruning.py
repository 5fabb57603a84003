"""Trace a network with torch-pruning, and replay a recorded pruning on a fresh one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


@contextmanager
def tracing() -> Iterator[None]:
    """Silence torch-pruning's warnings, and let it pass over a concatenation whose widths it does not know.

    It adds up the widths before it looks whether it has them all. What it cannot follow is found by trying.
    """
    from torch_pruning.dependency import index_mapping

    mapped = index_mapping.update_concat_index_mapping

    def update(graph: Any, node: Any) -> None:
        try:
            mapped(graph, node)
        except TypeError:
            return

    index_mapping.update_concat_index_mapping = update
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        index_mapping.update_concat_index_mapping = mapped


def replay(module: nn.Module, history: list[Any], example: tuple[Tensor, ...]) -> None:
    """Prune `module` in place as `history` says.

    Its items are torch-pruning's `[layer, is output, indices]`, and `{"module": …, "set": {attribute: number}}` for
    counts that a network keeps beside its weights, such as the heads of an attention.
    """
    import torch_pruning

    cuts = [item for item in history if not isinstance(item, dict)]
    with tracing():
        graph = torch_pruning.DependencyGraph().build_dependency(module.eval(), example, verbose=False)
        graph.load_pruning_history(cuts)
    set_counts(module, history)


def set_counts(module: nn.Module, history: list[Any]) -> None:
    """Set the recorded counts; a later item overrides an earlier one."""
    for item in history:
        if isinstance(item, dict):
            for name, value in item["set"].items():
                setattr(module.get_submodule(item["module"]), name, value)
