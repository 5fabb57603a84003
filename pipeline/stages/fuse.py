"""`fuse.*`: several models into one stronger predictor."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from ..errors import UserError
from ..stage import Artifact, Context, Made, Stage
from ..zoo import Description, load, save

if TYPE_CHECKING:
    from torch import nn

BARRIER = 2.0
"""Points of validation accuracy that the midpoint of two models may fall below their mean."""


class Fuse(Stage):
    names: ClassVar = ("models",)

    models: list[str] = Field(min_length=2, description="the names of the models to fuse")


class FuseEnsemble(Fuse):
    """Average the members' probabilities; any architectures, one graph, as slow as all members together."""

    use: Literal["fuse.ensemble"]

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from ..scores import nll
        from ..train import Examples, logits

        loaded = [load(inputs[name].path, context.code) for name in self.models]
        first = loaded[0][1]
        weights = [1 / len(loaded)] * len(loaded)
        description = Description(
            channels=first.channels,
            classes=first.classes,
            size=first.size,
            inputs=first.inputs,
            task=context.data.task,
            members=[d for _, d in loaded],
            weights=weights,
        )
        module = description.build(context.code)
        module.load_state_dict(
            {f"members.{k}.{name}": t for k, (m, _) in enumerate(loaded) for name, t in m.state_dict().items()}
        )
        held_out = Examples(context.data.to_learn_from(), "validation", context.seed)
        labels = context.data["validation"].y
        members = {name: nll(logits(m, held_out), labels) for name, (m, _) in zip(self.models, loaded, strict=True)}
        save(module.eval(), description, context.folder / "model.safetensors")
        return Made("torch", notes={"nll": nll(logits(module, held_out), labels), "members_nll": members})


class Soup(Fuse):
    """Average the weights of models that share an architecture and a start; as fast as one of them."""

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        kitchen = _Kitchen({name: load(inputs[name].path, context.code) for name in self.models}, context)
        chosen, notes = self.choose(kitchen)
        save(kitchen.average(chosen), kitchen.description, context.folder / "model.safetensors")
        return Made("torch", notes={"members": chosen, **notes})

    @abstractmethod
    def choose(self, kitchen: _Kitchen) -> tuple[list[str], dict[str, Any]]:
        """The members to average, and what to tell about them."""


class FuseSoupUniform(Soup):
    """Uniform soup (Wortsman et al., 2022): the mean of all members' weights."""

    use: Literal["fuse.soup.uniform"]

    def choose(self, kitchen: _Kitchen) -> tuple[list[str], dict[str, Any]]:
        alone = {name: kitchen.goodness([name]) for name in self.models}
        barriers = {name: kitchen.barrier(self.models[0], name) for name in self.models[1:]}
        return self.models, {"alone": alone, "barriers": barriers, "soup": kitchen.goodness(self.models)}


class FuseSoupGreedy(Soup):
    """Greedy soup (Wortsman et al., 2022): add a member, best first, only when validation accuracy does not fall."""

    use: Literal["fuse.soup.greedy"]

    def choose(self, kitchen: _Kitchen) -> tuple[list[str], dict[str, Any]]:
        alone = {name: kitchen.goodness([name]) for name in self.models}
        first, *others = sorted(self.models, key=lambda name: -alone[name])
        barriers = {name: kitchen.barrier(first, name) for name in others}
        soup, best = [first], alone[first]
        for name in others:
            found = kitchen.goodness([*soup, name])
            if found >= best:
                soup, best = [*soup, name], found
        return soup, {"alone": alone, "barriers": barriers, "soup": best}


class _Kitchen:
    """The members of a soup, and the trials made with them on validation."""

    def __init__(self, loaded: dict[str, tuple[nn.Module, Description]], context: Context) -> None:
        # Copies: trials are put into the first module, whose own state would change with it.
        self.states = {name: copy.deepcopy(module.state_dict()) for name, (module, _) in loaded.items()}
        (first, self.description), *_others = loaded.values()
        for name, (_, description) in loaded.items():
            _check_alike(next(iter(loaded)), self.description, name, description)
        self.context = context
        self.module = first
        self.tried: dict[tuple[str, ...], float] = {}

    def average(self, members: list[str]) -> nn.Module:
        """The mean of the members' weights with batch-norm statistics estimated anew; one member stays as it is."""
        import torch

        states = [self.states[name] for name in members]
        mean = {
            # Integers (batch-norm's counter) have no mean: they are copied.
            name: torch.stack([state[name] for state in states]).mean(0) if tensor.is_floating_point() else tensor
            for name, tensor in states[0].items()
        }
        self.module.load_state_dict(mean)
        if len(members) > 1:
            _reestimate(self.module, self.context)
        return self.module.eval()

    def goodness(self, members: list[str]) -> float:
        """How good the members' average is on validation, in points of the recipe's metric."""
        from ..train import Examples, logits

        key = tuple(sorted(members))
        if key not in self.tried:
            data = self.context.data.to_learn_from()
            answers = logits(self.average(members), Examples(data, "validation", self.context.seed))
            self.tried[key] = self.context.metric.goodness(answers, data["validation"].y)
        return self.tried[key]

    def barrier(self, one: str, other: str) -> float:
        """How far the midpoint falls below the mean of two members, in points; above `BARRIER` it is refused."""
        found = (self.goodness([one]) + self.goodness([other])) / 2 - self.goodness([one, other])
        if found > BARRIER:
            raise UserError(
                f"`{one}` and `{other}` do not average: their midpoint is {found:.1f} points below their mean",
                "weights average only from a shared start; use `fuse.ensemble`, and `distill.kd` after it",
            )
        return found


def _check_alike(first: str, expected: Description, name: str, found: Description) -> None:
    if expected.members or found.members:
        raise UserError("an ensemble has no weights to average", "name its members instead")
    if (expected.network, expected.pruned) != (found.network, found.pruned):
        raise UserError(
            f"`{name}` is not the architecture of `{first}`, so their weights have no mean",
            "use `fuse.ensemble`, which takes any architectures",
        )


def _reestimate(module: nn.Module, context: Context) -> None:
    """Batch-norm's mean and variance from one pass over the training images, each batch with equal weight."""
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm

    from ..train import Examples, Rows

    norms = [layer for layer in module.modules() if isinstance(layer, _BatchNorm)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None
    examples = Examples(context.data, "train", context.seed)
    module.train()
    with torch.no_grad():
        for rows in torch.arange(len(examples)).tensor_split(
            max(1, len(examples) // 256)
        ):  # none of them a single image
            module(*examples.batch(Rows(rows, 0)))
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
