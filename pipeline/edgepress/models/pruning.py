"""Trace a network with torch-pruning, and replay a recorded pruning on a fresh one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


MAPPINGS = ("concat", "reshape")
"""Operations whose widths torch-pruning adds or divides before it looks whether it knows them."""


@contextmanager
def tracing() -> Iterator[None]:
    """Silence torch-pruning's warnings, and let it pass over operations whose widths it does not know.

    What it cannot follow is found by trying.
    """
    from torch_pruning.dependency import index_mapping

    names = [f"update_{operation}_index_mapping" for operation in MAPPINGS]
    updates = {name: getattr(index_mapping, name) for name in names}

    def tolerant(update: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        def updated(graph: Any, node: Any) -> None:
            with suppress(TypeError, ZeroDivisionError):
                update(graph, node)

        return updated

    try:
        for name, update in updates.items():
            setattr(index_mapping, name, tolerant(update))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, update in updates.items():
            setattr(index_mapping, name, update)


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
