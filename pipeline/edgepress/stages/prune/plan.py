"""Plan what can be removed of a network exactly, and name what is left.

DepGraph reads the groups of channels from a trace, and misreads some: views that split or shuffle channels, norms over
all of them. So each plan is tried on random weights: the pruned network and the unpruned one whose channels are zero
have to give the same outputs. Groups that fail are ignored, and the others are planned again.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ...core import system_errors
from ...core.errors import UserError, first_line, suggest
from ...models.probe import Inputs, random_inputs, randomized
from ...models.pruning import forget, replay
from .graph import Pruner
from .groups import Group, apply, choose, head_counts, make_pruner, output_layers
from .zeroing import faulty

NORMS = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
"""Layers whose statistics are over many channels: none can be removed without a change of the others."""
NORMALIZED = "a norm averages over their channels"
LOST = "their channels cannot be followed"


class Options(NamedTuple):
    """What decides the channels that are removed."""

    ratio: float
    round_to: int
    everywhere: bool
    ignore: Sequence[str] = ()


class Plan(NamedTuple):
    """`history` is for `pruning.replay`; `unpruned` are layers with the reason why their channels stay."""

    history: list[Any]
    unpruned: dict[str, str]
    groups: list[Group]


def plan(module: nn.Module, example: tuple[Tensor, ...], options: Options) -> Plan:
    """Choose the channels of `module` to remove, without removing any.

    Raises: UserError when a pattern of `ignore` matches no layer, or when nothing of the network can be pruned.
    """
    ignored = _matching(module, options.ignore)
    probe, inputs = _probe(forget(module), example)
    names: dict[Any, str] = {layer: name for name, layer in module.named_modules()}
    try:
        ignored += output_layers(module, example)
        pruner, groups = _chosen(module, example, options, ignored)
    except Exception as error:  # torch-pruning fails in as many ways as there are networks
        raise _refused(f"torch-pruning cannot trace it: {first_line(error)}") from error
    unpruned = {names[layer]: LOST for layer in pruner.unranked if layer in names}

    def replayed(groups: Sequence[Group], network: nn.Module) -> None:
        history = [*(group.record() for group in groups), *head_counts(groups, network)]
        replay(network, history, tuple(_like(x, inputs) for x in example))

    while bad := (
        [group for group in groups if _is_normalized(group, module)]
        or faulty(groups, probe, inputs, apply)
        or faulty(groups, probe, inputs, replayed)
    ):
        unpruned |= {group.root: NORMALIZED if _is_normalized(group, module) else LOST for group in bad}
        ignored += [module.get_submodule(group.root) for group in bad]
        if options.everywhere:  # what stays is made up for elsewhere
            _, groups = _chosen(module, example, options, ignored)
        else:
            groups = [group for group in groups if group not in bad]
    if unpruned and not groups:
        raise _refused("; ".join(reasons(unpruned)))
    return Plan([*(group.record() for group in groups), *head_counts(groups, module)], unpruned, groups)


def reasons(unpruned: dict[str, str]) -> list[str]:
    """Return a line for each reason, with the layers as patterns: `blocks.*.norm1`."""
    lines = []
    for reason in dict.fromkeys(unpruned.values()):
        layers = [_pattern(name) for name, why in unpruned.items() if why == reason]
        lines.append(f"{reason}: {', '.join(f'`{layer}`' for layer in dict.fromkeys(layers))}")
    return lines


def _pattern(name: str) -> str:
    """Return a layer's name with `*` for its numbers, unless it is all numbers."""
    return re.sub(r"(?<![^.])\d+(?![^.])", "*", name) if re.search("[A-Za-z]", name) else name


def _chosen(
    module: nn.Module, example: tuple[Tensor, ...], options: Options, ignored: Sequence[nn.Module]
) -> tuple[Pruner, list[Group]]:
    ratio, round_to, everywhere, _ = options
    pruner = make_pruner(
        module, example, ratio=ratio, round_to=round_to, everywhere=everywhere, ignored=list(dict.fromkeys(ignored))
    )
    groups = choose(pruner)
    forget(module)
    return pruner, groups


def _probe(module: nn.Module, example: tuple[Tensor, ...]) -> tuple[nn.Module, Inputs]:
    """Return a network with random weights, and inputs, in float64 if it computes in that."""
    random = torch.Generator().manual_seed(0)
    probe = randomized(module, random)
    inputs = random_inputs(example, probe, random)
    narrow = tuple(x.float() if x.is_floating_point() else x for x in inputs)
    for network, batch in ((probe, inputs), (copy.deepcopy(probe).float(), narrow)):
        try:
            with torch.no_grad():
                if torch.isfinite(network(*batch)).all():
                    return network, batch
        except (RuntimeError, TypeError, ValueError) as error:  # numbers that `forward` makes itself are float32
            system_errors.pass_on(error)
            continue
    return copy.deepcopy(module).eval(), narrow


def _like(x: Tensor, inputs: Inputs) -> Tensor:
    """Return an example in the type of the probe's inputs."""
    return x.to(next(y.dtype for y in inputs if y.is_floating_point())) if x.is_floating_point() else x


def _is_normalized(group: Group, module: nn.Module) -> bool:
    layers = dict(module.named_modules())
    return any(isinstance(layers.get(cut.name), NORMS) for cut in group.cuts)


def _matching(module: nn.Module, patterns: Sequence[str]) -> list[nn.Module]:
    layers = {name: layer for name, layer in module.named_modules() if name}
    matching = []
    for pattern in patterns:
        matched = [layer for name, layer in layers.items() if fnmatchcase(name, pattern)]
        if not matched:
            tops = [name for name in layers if name.count(".") < 2]
            raise UserError(
                f"`ignore`: no layer is called `{pattern}`",
                suggest(pattern, tops, f"the network has {', '.join(tops[:12])}, …"),
            )
        matching += matched
    return matching


def _refused(reason: str) -> UserError:
    return UserError(
        f"nothing of this network can be pruned: {reason}",
        "take `prune.channels` out, or choose another network; `quantize.static` makes any network smaller",
    )
