"""Choose the channels to remove, by groups of layers that share them: DepGraph (Fang et al., 2023)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch_pruning
from torch import Tensor, nn
from torch_pruning import dependency
from torch_pruning.ops import OPTYPE
from torch_pruning.utils.utils import flatten_as_list

from ...models.pruning import set_counts
from .graph import Pruner, bounded

LINEARS = ("qkv", "q", "k", "v", "kv", "q_proj", "k_proj", "v_proj", "to_q", "to_k", "to_v", "to_qkv", "query", "key",
           "value")  # fmt: skip
"""Names of the projections in an attention, whose rows are sorted by heads."""
COUNTS = ("num_heads", "num_kv_heads", "attn_dim", "all_head_dim", "inner_dim")
"""Attributes of an attention that are as many times larger as it has heads."""


@dataclass(frozen=True)
class Cut:
    """Channels that leave one side of a layer, or a dimension of a parameter."""

    name: str
    handler: Callable[[Any, list[int]], Any]
    is_output: bool
    dim: int
    indices: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """Cuts that belong together; the first is of the layer whose channels were ranked."""

    cuts: tuple[Cut, ...]

    @property
    def root(self) -> str:
        return self.cuts[0].name

    def record(self) -> list[Any]:
        """Return the item of a pruning history: torch-pruning finds the other cuts from the first."""
        return [self.root, self.cuts[0].is_output, [int(index) for index in self.cuts[0].indices]]


def make_pruner(
    module: nn.Module,
    example: tuple[Tensor, ...],
    *,
    ratio: float,
    round_to: int,
    everywhere: bool,
    ignored: Iterable[nn.Module],
) -> Pruner:
    """Trace `module` and rank its channels by magnitude; of attentions whole heads go."""
    with bounded():
        return Pruner(
            module,
            example,
            importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
            pruning_ratio=ratio,
            global_pruning=everywhere,
            round_to=round_to,
            ignored_layers=list(ignored),
            # Without dictionaries of its own, a pruner shares them with all others of the process.
            in_channel_groups={},
            out_channel_groups={},
            num_heads={layer: count for layer, (_, count) in attentions(module).items()},
            prune_num_heads=True,
            prune_head_dims=False,
            head_pruning_ratio=ratio,
        )


def attentions(module: nn.Module) -> dict[nn.Module, tuple[str, int]]:
    """Return the projections of each attention, with its name and its number of heads."""
    projections: dict[nn.Module, tuple[str, int]] = {}
    for name, part in module.named_modules():
        heads = getattr(part, "num_heads", None)
        if isinstance(heads, int) and heads > 1 and not isinstance(part, nn.MultiheadAttention):
            for label, layer in part.named_children():
                if label in LINEARS and isinstance(layer, nn.Linear):
                    projections[layer] = (name, heads)
    return projections


def output_layers(module: nn.Module, example: tuple[Tensor, ...]) -> list[nn.Module]:
    """Return the layers whose channels are those of an output, such as the classifiers of a label or of each pixel."""
    with bounded():
        graph = dependency.DependencyGraph()
        graph.build_dependency(module, example, output_transform=_marked, verbose=False)
        outputs = [node.module for node in graph.module2node.values() if node.type == OPTYPE.OUTPUT]
        pruner = graph.REGISTERED_PRUNERS[OPTYPE.OUTPUT]
        groups = [
            graph.get_pruning_group(output, pruner.prune_out_channels, list(range(max(output.shape[1:], default=1))))
            for output in outputs
        ]
    layers = set(module.modules())
    makers = (
        item.dep.target.module
        for group in groups
        for item in group
        if graph.is_out_channel_pruning_fn(item.dep.handler)
    )
    return list(dict.fromkeys(layer for layer in makers if layer in layers))


def _marked(outputs: Any) -> list[Tensor]:
    """Add an operation behind each output: what torch-pruning calls an output is one that nothing reads."""
    return [tensor * 1 for tensor in flatten_as_list(outputs)]


def choose(pruner: Pruner) -> list[Group]:
    """Return the groups that `pruner` would remove channels of, without removing any."""
    names: dict[Any, str] = {layer: name for name, layer in pruner.model.named_modules()}
    names |= {parameter: name for name, parameter in pruner.model.named_parameters()}
    with bounded():
        return [_group(pruner.DG, items, names) for items in pruner.step(interactive=True)]


def _group(graph: Any, items: Any, names: dict[Any, str]) -> Group:
    cuts = [
        Cut(
            names[item.dep.target.module],
            item.dep.handler,
            graph.is_out_channel_pruning_fn(item.dep.handler),
            item.dep.target.pruning_dim,
            tuple(item.idxs),
        )
        for item in items
        if item.dep.target.module in names  # operations without weights have nothing to cut
    ]
    return Group(tuple(cuts))


def merged(groups: Iterable[Group]) -> dict[Cut, list[int]]:
    """Return the indices of all groups by layer and side; the key is a cut without indices."""
    indices: dict[Cut, set[int]] = defaultdict(set)
    for group in groups:
        for cut in group.cuts:
            indices[Cut(cut.name, cut.handler, cut.is_output, cut.dim, ())].update(cut.indices)
    return {cut: sorted(chosen) for cut, chosen in indices.items()}


def apply(groups: Iterable[Group], module: nn.Module) -> None:
    """Cut the groups out of `module`, a network like the one that they were chosen in."""
    groups = list(groups)
    parameters = dict(module.named_parameters())
    counts = head_counts(groups, module)
    for cut, indices in merged(groups).items():
        cut.handler.__self__.pruning_dim = cut.dim  # type: ignore[attr-defined]
        if cut.name in parameters:
            owner, _, attribute = cut.name.rpartition(".")
            setattr(module.get_submodule(owner), attribute, cut.handler(parameters[cut.name], indices))
        else:
            cut.handler(module.get_submodule(cut.name), indices)
    set_counts(module, counts)


def head_counts(groups: Iterable[Group], module: nn.Module) -> list[dict[str, Any]]:
    """Return what the attentions of `module` count after the cuts, as items of a pruning history."""
    projections = attentions(module)
    shares: dict[str, float] = {}
    layers = dict(module.named_modules())
    for cut, indices in merged(groups).items():
        layer = layers.get(cut.name)
        if isinstance(layer, nn.Linear) and cut.is_output and layer in projections:
            shares[projections[layer][0]] = 1 - len(indices) / layer.out_features
    items = []
    for name, share in shares.items():
        owner = module.get_submodule(name)
        counts = {each: getattr(owner, each) for each in COUNTS if isinstance(getattr(owner, each, None), int)}
        items.append({"module": name, "set": {each: round(share * count) for each, count in counts.items()}})
    return items
