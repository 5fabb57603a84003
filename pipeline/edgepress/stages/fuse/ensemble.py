"""Fuse outputs of models of any architectures: `fuse.ensemble`, `.stack`.

The result is stronger than its members and as slow as all together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from ... import tasks
from ...core.errors import Mistake, Rejection, UserError
from ...models.checkpoint import load, save
from ...models.description import Description
from ...models.output_shape import by
from ...stage import Artifact, Context, Kind, Lineage, Made, Setting, Stage
from ..export import ExportOnnx

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from torch import nn


def check_weights(weights: Any, info: ValidationInfo) -> Any:
    """Return the models' weights scaled to sum to 1. Raises: Mistake unless one each, none negative, about 1 in sum."""
    if not isinstance(weights, list) or "models" not in info.data:
        return weights
    count = len(info.data["models"])
    if len(weights) != count:
        raise Mistake(f"write {count} weights, one for each model; these are {len(weights)}")
    if min(weights) < 0 or not abs(sum(weights) - 1) <= 1e-3:
        help = "none is below 0" if min(weights) < 0 else f"these are {sum(weights):g} in sum"
        raise Mistake("write weights that are 1 in sum", help)
    return [weight / sum(weights) for weight in weights]


Shares = Annotated[list[float], AfterValidator(check_weights)]
Fitted = Annotated[Literal["fitted", "equal"] | list[float], AfterValidator(check_weights)]


ALIKE = "export members alike: with or without `embed: [normalize]`, with the same `dtype`"


class Fuse(Stage):
    family: ClassVar = "fuse"
    names: ClassVar[tuple[str, ...]] = ("models",)

    models: list[str] = Field(min_length=2, description="names of the models to fuse")

    def reject(self, setting: Setting) -> Iterator[Rejection]:
        yield from super().reject(setting)
        if setting.data.untrainable:
            yield Rejection(*setting.data.untrainable)


class OutputFusion(Fuse):
    """A fusion of the members' outputs."""

    joins_networks: ClassVar = True

    libraries: ClassVar[tuple[str, ...]] = ("torch", "timm", "numpy", "scipy", "scikit-learn")

    @field_validator("models")
    @classmethod
    def _each_once(cls, models: list[str]) -> list[str]:
        if twice := [name for name, count in Counter(models).items() if count > 1]:
            raise Mistake(f"`{twice[0]}` is named twice", "name each model once, with a weight of its own")
        return models

    def members(self, inputs: dict[str, Artifact], context: Context) -> list[tuple[nn.Module, Description]]:
        """Load the members with their descriptions. Raises: UserError when one is for other inputs or classes."""
        loaded = [load(inputs[name].path, context.code) for name in self.models]
        first = loaded[0][1]
        for name, (_, description) in zip(self.models, loaded, strict=True):
            if len(description.output) > 1 and description.output != first.output:
                raise _other_outputs(name, description.output, self.models[0], first.output)
            if description.classes != first.classes:
                raise UserError(
                    f"`{name}` has {description.classes} classes, `{self.models[0]}` has {first.classes}",
                    "fuse models of the same classes in the same order",
                )
            if description.takes() != first.takes():
                raise UserError(f"`{name}` takes other inputs than `{self.models[0]}`", "fuse models of the same data")
        if any(0 in description.output for _, description in loaded):  # sides that are the network's choice
            require_same({name: d.measured(module) for name, (module, d) in zip(self.models, loaded, strict=True)})
        return loaded

    def validation_logits(self, loaded: list[tuple[nn.Module, Description]], context: Context) -> dict[str, np.ndarray]:
        """Return each member's outputs on the validation examples, (n, …), which it was not trained on."""
        from ...training import Examples, logits

        held_out = Examples(context.data.to_learn_from(), "validation", context.seed)
        return {name: logits(module, held_out) for name, (module, _) in zip(self.models, loaded, strict=True)}

    def build(
        self, loaded: list[tuple[nn.Module, Description]], context: Context, fitted: dict[str, Any], **how: Any
    ) -> nn.Module:
        """Build and save the module that fuses the members as `how` describes, with `fitted` weights of its own."""
        first = loaded[0][1]
        description = Description(
            channels=first.channels,
            classes=first.classes,
            size=first.size,
            target=first.target,
            inputs=first.inputs,
            task=context.data.task,
            members=[member for _, member in loaded],
            **how,
        )
        module = description.build(context.code)
        tensors = {f"members.{k}.{n}": t for k, (m, _) in enumerate(loaded) for n, t in m.state_dict().items()}
        module.load_state_dict(tensors | fitted)
        save(module.eval(), description, context.folder / "model.safetensors")
        return module


def require_same(shapes: Mapping[str, Sequence[int]]) -> None:
    """Raise UserError unless every model's output of an example has the shape of the first one's."""
    first, *rest = shapes
    for name in rest:
        if tuple(shapes[name]) != tuple(shapes[first]):
            raise _other_outputs(name, shapes[name], first, shapes[first])


def _other_outputs(name: str, sides: Sequence[int], first: str, expected: Sequence[int]) -> UserError:
    message = f"`{name}` makes {by(sides)} of an example, `{first}` {by(expected)}"
    return UserError(message, "fuse models of the same outputs")


def _input_form(source: Lineage) -> tuple[bool, str] | None:
    """Return whether a member normalizes its inputs itself, and their type; None of a file that is loaded."""
    if source.kind == "torch":
        return False, "float32"  # as an ensemble exports it
    if isinstance(source.stage, ExportOnnx):
        return "normalize" in source.stage.embed, source.stage.dtype
    inner = next(iter(source.sources.values()), None)
    return _input_form(inner) if inner else None


class FuseEnsemble(OutputFusion):
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

    def reject(self, setting: Setting) -> Iterator[Rejection]:
        yield from super().reject(setting)
        task = setting.data.task
        if task and not tasks.TASKS[task].averages:
            yield Rejection(f"outputs of {task} have no mean in a graph", "`fuse.soup` averages weights")
        if not any(source.kind == "onnx" for source in setting.sources.values()):
            return
        forms = {name: _input_form(setting.sources[name]) for name in self.models if name in setting.sources}
        known = [name for name in self.models if forms.get(name) is not None]
        for index, name in enumerate(self.models):
            if name in known and forms[name] != forms[known[0]]:
                yield Rejection(f"`{name}` takes other inputs than `{known[0]}`", ALIKE, ("models", index))

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from ...training import Examples, logits
        from . import simplex

        if any(inputs[name].kind == "onnx" for name in self.models):
            return self._of_files(inputs, context)
        loaded = self.members(inputs, context)
        module, first = loaded[0]
        context = replace(context, data=simplex.shortened(context.data, first.measured(module)))
        outputs = self.validation_logits(loaded, context)
        weights = self._weights(outputs, context)
        module = self.build(loaded, context, {}, weights=weights, combine=self.of)
        result = logits(module, Examples(context.data, "validation", context.seed))
        return Made("torch", notes=self._notes(outputs, weights, result, context))

    def _of_files(self, inputs: dict[str, Artifact], context: Context) -> Made:
        """Merge the members' graphs into one ONNX graph; torch members are exported."""
        from ...models import metadata
        from ...models.onnx import export
        from ...models.predict import predict_raw
        from . import simplex
        from .onnx_ensemble import merged

        data = context.data
        paths = {name: inputs[name].path for name in self.models}
        for name in self.models:
            if inputs[name].kind == "torch":
                paths[name] = context.scratch / f"{name}.onnx"
                export.export(load(inputs[name].path, context.code)[0], data, paths[name])
        outputs, contracts = {}, {name: metadata.read(path) for name, path in paths.items()}
        if data.task not in metadata.LABEL_TASKS:
            shapes = {name: contract["outputs"][0]["shape"][1:] for name, contract in contracts.items()}
            require_same(shapes)
            data = simplex.shortened(data, shapes[self.models[0]])
            context = replace(context, data=data)
        for name, path in paths.items():
            contract = contracts[name]
            if data.targets.per_label and contract["labels"] != list(data.labels):
                message = f"`{name}` has other classes than `{data.name}`, or another order of them"
                raise UserError(message, "fuse models of the same classes in the same order")
            raw = predict_raw(path, data, data.to_learn_from()["validation"].x)
            outputs[name] = metadata.to_logits(raw, contract, data)
        weights = self._weights(outputs, context)
        model = context.folder / "model.onnx"
        export.write(merged(list(paths.values()), weights, data, self.of), model)
        contract = metadata.read(model)
        result = metadata.to_logits(predict_raw(model, data, data["validation"].x), contract, data)
        return Made("onnx", notes=self._notes(outputs, weights, result, context))

    def _weights(self, outputs: dict[str, np.ndarray], context: Context) -> list[float]:
        import torch

        from . import simplex

        if self.weights == "equal":
            return [1 / len(outputs)] * len(outputs)
        if isinstance(self.weights, list):
            return self.weights
        y = torch.from_numpy(context.data["validation"].y.copy())
        return simplex.fit([torch.from_numpy(tensor) for tensor in outputs.values()], y, context.data.task, self.of)

    def _notes(
        self, outputs: dict[str, np.ndarray], weights: list[float], result: np.ndarray, context: Context
    ) -> dict[str, Any]:
        nll, y = tasks.of(context.data).nll_of, context.data["validation"].y
        return {
            "weights": dict(zip(self.models, weights, strict=True)),
            "nll": nll(result, y),
            "members_nll": {name: nll(logits, y) for name, logits in outputs.items()},
        }


class FuseStack(OutputFusion):
    """Fit a linear model on the models' outputs: stacking (Wolpert, 1992).

    It is fitted to the validation labels; the result is one graph.
    """

    libraries: ClassVar = ("torch", "timm", "numpy", "scikit-learn")

    use: Literal["fuse.stack"]

    def reject(self, setting: Setting) -> Iterator[Rejection]:
        yield from super().reject(setting)
        task = setting.data.task
        if task and not tasks.TASKS[task].stacks:
            yield Rejection(f"a stack weighs labels, and {task} has none", "`fuse.ensemble` averages outputs")

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        import torch

        from ...models.ensemble import features
        from . import stacking

        loaded = self.members(inputs, context)
        outputs, y, task = self.validation_logits(loaded, context), context.data["validation"].y, context.data.task
        x = features([torch.from_numpy(array) for array in outputs.values()], task).numpy()
        stacked = stacking.fit(x, y, task, context.data.labels, context.seed)
        fitted = {"combine.weight": stacked.weight, "combine.bias": stacked.bias}
        self.build(
            loaded, context, {name: torch.from_numpy(array).float() for name, array in fitted.items()}, combine="stack"
        )
        nll = tasks.of(context.data).nll_of
        notes = {
            "out_of_fold_nll": nll(stacked.out_of_fold, y),
            "members_nll": {name: nll(array, y) for name, array in outputs.items()},
        }
        return Made("torch", notes=notes)
