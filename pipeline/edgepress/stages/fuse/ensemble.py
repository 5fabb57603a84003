"""Fuse the outputs of models of any architectures: `fuse.ensemble`, `.stack`.

The result is stronger than its members and as slow as all together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo

from ...core.errors import Mistake, UserError
from ...models.checkpoint import load, save
from ...models.description import Description
from ...stage import Artifact, Context, Kind, Made, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from torch import nn


def shares(weights: Any, info: ValidationInfo) -> Any:
    """Weights of the models beside them: one each, none negative, 1 in sum (and then exactly)."""
    if not isinstance(weights, list) or "models" not in info.data:
        return weights
    count = len(info.data["models"])
    if len(weights) != count:
        raise Mistake(f"write {count} weights, one for each model; these are {len(weights)}")
    if min(weights) < 0 or not abs(sum(weights) - 1) <= 1e-3:
        help = "none is below 0" if min(weights) < 0 else f"these are {sum(weights):g} in sum"
        raise Mistake("write weights that are 1 in sum", help)
    return [each / sum(weights) for each in weights]


Shares = Annotated[list[float], AfterValidator(shares)]
Fitted = Annotated[Literal["fitted", "equal"] | list[float], AfterValidator(shares)]


class Fuse(Stage):
    family: ClassVar = "fuse"
    names: ClassVar[tuple[str, ...]] = ("models",)

    models: list[str] = Field(min_length=2, description="names of the models to fuse")


class Answers(Fuse):
    """A fusion of what the members answer."""

    libraries: ClassVar[tuple[str, ...]] = ("torch", "timm", "numpy", "scipy", "scikit-learn")

    def members(self, inputs: dict[str, Artifact], context: Context) -> list[tuple[nn.Module, Description]]:
        """The members with their descriptions. Raises: UserError when one is for other inputs or classes."""
        loaded = [load(inputs[name].path, context.code) for name in self.models]
        first = loaded[0][1]
        for name, (_, found) in zip(self.models, loaded, strict=True):
            if found.classes != first.classes:
                raise UserError(
                    f"`{name}` has {found.classes} classes, `{self.models[0]}` has {first.classes}",
                    "fuse models of the same classes in the same order",
                )
            if found.takes() != first.takes():
                raise UserError(f"`{name}` takes other inputs than `{self.models[0]}`", "fuse models of the same data")
        return loaded

    def answers(self, loaded: list[tuple[nn.Module, Description]], context: Context) -> dict[str, np.ndarray]:
        """What each member answers to the validation examples, (n, labels), which it was not trained on."""
        from ...training import Examples, logits

        held_out = Examples(context.data.to_learn_from(), "validation", context.seed)
        return {name: logits(module, held_out) for name, (module, _) in zip(self.models, loaded, strict=True)}

    def made(
        self, loaded: list[tuple[nn.Module, Description]], context: Context, learnt: dict[str, Any], **how: Any
    ) -> nn.Module:
        """The module that fuses the members as `how` describes, with what it has `learnt` itself; saved."""
        first = loaded[0][1]
        description = Description(
            channels=first.channels,
            classes=first.classes,
            size=first.size,
            inputs=first.inputs,
            task=context.data.task,
            members=[each for _, each in loaded],
            **how,
        )
        module = description.build(context.code)
        tensors = {f"members.{k}.{n}": t for k, (m, _) in enumerate(loaded) for n, t in m.state_dict().items()}
        module.load_state_dict(tensors | learnt)
        save(module.eval(), description, context.folder / "model.safetensors")
        return module


class FuseEnsemble(Answers):
    """Average the outputs of several models in one graph.

    Architectures may differ. The ensemble is as slow as all members together. With an ONNX file among the members the
    result is an ONNX file.
    """

    version: ClassVar = 2
    named_kinds: ClassVar = ("torch", "onnx")
    libraries: ClassVar = ("torch", "timm", "numpy", "scipy", "onnx")

    use: Literal["fuse.ensemble"]
    weights: Fitted = Field(
        default="fitted",
        description="one weight per model, summing to 1; or `equal`; or `fitted` to the validation labels",
    )
    of: Literal["probabilities", "logits"] = Field(default="probabilities", description="outputs that are averaged")

    def kind_with(self, named: Sequence[Kind]) -> Kind:
        return "onnx" if "onnx" in named else "torch"

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from ...training import Examples, logits

        if any(inputs[name].kind == "onnx" for name in self.models):
            return self._of_files(inputs, context)
        loaded = self.members(inputs, context)
        answers = self.answers(loaded, context)
        weights = self._weights(answers, context)
        module = self.made(loaded, context, {}, weights=weights, combine=self.of)
        found = logits(module, Examples(context.data, "validation", context.seed))
        return Made("torch", notes=self._notes(answers, weights, found, context))

    def _of_files(self, inputs: dict[str, Artifact], context: Context) -> Made:
        """One ONNX graph of the members' graphs; torch ones are exported."""
        from ...models import metadata
        from ...models.onnx import export
        from ...models.predict import predict
        from .onnx_ensemble import merged

        data = context.data
        paths = {name: inputs[name].path for name in self.models}
        for name in self.models:
            if inputs[name].kind == "torch":
                paths[name] = context.scratch / f"{name}.onnx"
                export.export(load(inputs[name].path, context.code)[0], data, paths[name])
        answers = {}
        for name, path in paths.items():
            contract = metadata.read(path)
            if contract["labels"] != list(data.labels):
                said = f"`{name}` has other classes than `{data.name}`, or another order of them"
                raise UserError(said, "fuse models of the same classes in the same order")
            given = metadata.to_model_inputs(contract, data, data.to_learn_from()["validation"].x)
            answers[name] = metadata.to_logits(predict(path, given), contract, data)
        weights = self._weights(answers, context)
        model = context.folder / "model.onnx"
        export.write(merged(list(paths.values()), weights, data, self.of), model)
        found = predict(model, metadata.to_model_inputs(metadata.read(model), data, data["validation"].x))
        return Made("onnx", notes=self._notes(answers, weights, found, context))

    def _weights(self, answers: dict[str, np.ndarray], context: Context) -> list[float]:
        import torch

        from . import simplex

        if self.weights == "equal":
            return [1 / len(answers)] * len(answers)
        if isinstance(self.weights, list):
            return self.weights
        y = torch.from_numpy(context.data["validation"].y.copy())
        return simplex.fit([torch.from_numpy(each) for each in answers.values()], y, context.data.task, self.of)

    def _notes(
        self, answers: dict[str, np.ndarray], weights: list[float], found: np.ndarray, context: Context
    ) -> dict[str, Any]:
        from ...core.metric_functions import nll

        y = context.data["validation"].y
        return {
            "weights": dict(zip(self.models, weights, strict=True)),
            "nll": nll(found, y),
            "members_nll": {name: nll(each, y) for name, each in answers.items()},
        }


class FuseStack(Answers):
    """Fit a linear model on the models' outputs: stacking (Wolpert, 1992).

    It is fitted to the validation labels; the result is one graph.
    """

    libraries: ClassVar = ("torch", "timm", "numpy", "scikit-learn")

    use: Literal["fuse.stack"]

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        import torch

        from ...core.metric_functions import nll
        from ...models.ensemble import features
        from . import stacking

        loaded = self.members(inputs, context)
        answers, y, task = self.answers(loaded, context), context.data["validation"].y, context.data.task
        x = features([torch.from_numpy(each) for each in answers.values()], task).numpy()
        found = stacking.fit(x, y, task, context.data.labels, context.seed)
        learnt = {"combine.weight": found.weight, "combine.bias": found.bias}
        self.made(
            loaded, context, {name: torch.from_numpy(each).float() for name, each in learnt.items()}, combine="stack"
        )
        notes = {
            "out_of_fold_nll": nll(found.out_of_fold, y),
            "members_nll": {name: nll(each, y) for name, each in answers.items()},
        }
        return Made("torch", notes=notes)
