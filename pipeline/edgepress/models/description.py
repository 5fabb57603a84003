"""Describe a network: what builds it, and the inputs that it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from ..core import user_code
from ..core.errors import Mistake, Rejection, UserError
from ..core.user_code import Code
from ..data.facts import DataFacts
from . import network_options
from .output_shape import by

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..data.dataset import Dataset

Task = Literal[
    "single-label", "multi-label", "regression", "segmentation", "keypoints", "embedding", "image", "detection"
]
EMBEDDING = 64
"""Length of a vector where neither the recipe nor the data set it."""
METADATA_KEY = "edgepress"

NO_CODE = Code()


def _there(arch: str, info: ValidationInfo) -> str:
    return user_code.there(arch, info) if user_code.is_function(arch) else arch


class Network(BaseModel):
    """A network: `timm/NAME`, `torchvision/NAME`, `edgepress/NAME`, `./my_model.py:build`, or a mapping with its
    arguments."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arch: Annotated[str, AfterValidator(_there)] = Field(
        pattern=r"^(timm|torchvision(/segmentation|/detection)?)/[a-z0-9_.]+$|^edgepress/[a-z0-9-]+$|"
        rf"{user_code.WRITTEN}",
        description="`timm/NAME`, `torchvision/NAME`, `torchvision/segmentation/NAME`, `torchvision/detection/NAME`, "
        "`edgepress/NAME`, or your own function that returns an nn.Module: `./my_model.py:build`, relative to the "
        "recipe's folder",
    )
    args: dict[str, Any] = Field(
        default_factory=dict, description="arguments of the network's constructor, or of your function"
    )
    pretrained: bool = Field(
        default=False, description="start from the published weights, downloaded by timm or torchvision"
    )
    stride: int | None = Field(
        default=None,
        ge=1,
        description="output stride: input pixels per cell of the last feature map. The first strides become 1 until it "
        "holds. By default the last feature map of a small image keeps at least 2 × 2 cells",
    )
    head_channels: int | None = Field(
        default=None,
        ge=1,
        exclude_if=lambda value: value is None,
        description="channels of the head for masks, heat maps and pictures on a network of timm; 128 by default",
    )
    head: Literal["ssdlite", "fcos"] | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="head for boxes on a network of timm: `ssdlite` by default, with anchors, or `fcos`, without",
    )
    embedding: int | None = Field(
        default=None,
        ge=1,
        exclude_if=lambda value: value is None,
        description=f"length of the output vector that tells identities apart; {EMBEDDING} by default. Where the data "
        "has a teacher's vectors, it is theirs",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"arch": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _own_is_taken_as_it_is(self) -> Self:
        help = {
            "pretrained": "`{use: load, from: FILE, model: …}` has weights of your own",
            "stride": "choose strides in your function",
            "head_channels": "your function builds the head as well",
            "head": "your function builds the head as well",
        }
        if self.own and (option := next((name for name in help if getattr(self, name)), None)):
            raise Mistake(f"`{option}` is for published networks", help[option])
        return self

    @property
    def own(self) -> bool:
        """Return whether the user's code builds it."""
        return user_code.is_function(self.arch)

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        mapping = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [mapping["properties"]["arch"], mapping]}

    def reject_data(self, data: DataFacts, option: str) -> Iterator[Rejection]:
        """Yield why this network, the value of `option`, cannot be built for the data."""
        yield from network_options.rejections(self, data, option)

    def describe(self, data: Dataset) -> Description:
        """Return the description from which `build` makes this network for `data`."""
        outputs = _outputs(data, self.embedding)
        if len(data.inputs) == 1 and data.input.kind == "image":
            channels, height, width = data.input.shape
            return Description(network=self, channels=channels, size=(height, width), task=data.task, **outputs)
        inputs = [Takes.model_validate(asdict(input), from_attributes=True) for input in data.inputs]
        return Description(network=self, inputs=inputs, task=data.task, **outputs)


def expected(data: Dataset) -> tuple[int, ...]:
    """Return the shape of one example's output as the task of `data` takes it; a side of 0 is the model's choice."""
    outputs = _outputs(data)
    if data.task == "embedding" and data["train"].y.ndim == 1:
        return (0,)
    size = data.input.shape[1:] if data.task == "segmentation" else ()
    return _shape(data.task, outputs["classes"], size, outputs.get("target", ()))


def _shape(task: str, classes: int, size: tuple[int, ...], target: tuple[int, ...]) -> tuple[int, ...]:
    if task == "detection":
        return (0, 0)  # places and numbers of each are the network's choice
    sides = {"segmentation": size, "keypoints": (0, 0), "image": target}
    return (classes, *sides.get(task, ()))


def _outputs(data: Dataset, embedding: int | None = None) -> dict[str, Any]:
    """Return the fields of a description that say what is computed; the data's task decides."""
    if data.task not in ("image", "embedding"):
        return {"classes": len(data.labels)}
    targets = data["train"].y.shape[1:]
    if data.task == "image":
        return {"classes": targets[0], "target": targets[1:]}
    # The length of the teacher's vectors, or any that tells identities apart.
    return {"classes": targets[0] if targets else embedding or EMBEDDING}


class Takes(BaseModel):
    """One input that is no image, as `data.Input` has it; the training data's moments are not the network's."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    kind: Literal["series", "numbers", "tokens", "image"]
    shape: tuple[int, ...]
    vocabulary: int = 0


class Description(BaseModel):
    """All that is needed to rebuild a module before its weights are put in.

    An image network has `channels` and `size`; any other has `inputs`. `classes` counts the outputs: labels, points,
    numbers of a vector, or channels of a picture, whose height and width are `target`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int = 0
    classes: int
    size: tuple[int, int] = (0, 0)
    target: tuple[int, int] = (0, 0)
    task: Task = "single-label"
    inputs: list[Takes] = Field(default_factory=list)
    network: Network | None = None
    pruned: list[Any] = Field(default_factory=list)
    """The history that `pruning.replay` applies to the fresh module."""
    members: list[Description] = Field(default_factory=list)
    weights: list[float] = Field(default_factory=list)
    """Of the members; a stack has its own among the tensors."""
    combine: Literal["probabilities", "logits", "stack"] = "probabilities"
    """What of the members' outputs is averaged; or `stack`, a linear layer on them."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.network is None) == (not self.members):
            raise ValueError("a description has either a network or members")
        return self

    def takes(self) -> tuple[tuple[str, tuple[int, ...], int], ...]:
        """Return kind, shape and vocabulary of every input, to compare with those of a data set."""
        if self.inputs:
            return tuple((entry.kind, entry.shape, entry.vocabulary) for entry in self.inputs)
        return (("image", (self.channels, *self.size), 0),)

    def example(self) -> tuple[Tensor, ...]:
        """Return zeros that the module takes, a batch of one."""
        import torch

        return tuple(
            torch.zeros(1, *shape, dtype=torch.int64 if kind == "tokens" else torch.float32)
            for kind, shape, _ in self.takes()
        )

    @property
    def output(self) -> tuple[int, ...]:
        """Return the shape of one example's output; a side of 0 is the network's choice."""
        return _shape(self.task, self.classes, self.size, self.target)

    def measured(self, module: nn.Module) -> tuple[int, ...]:
        """Return the shape of one example's output with the sides that are the choice of `module`, run on zeros."""
        import torch

        with torch.inference_mode():
            return tuple(module.eval()(*self.example()).shape[1:])

    def misfit(self, data: Dataset) -> str:
        """Return how the outputs differ from what the task of `data` takes; empty where they do not."""
        wanted = self.model_copy(update={"task": data.task, **_outputs(data, self.classes)})
        if self.output == wanted.output and (self.task != "detection" or self.classes == wanted.classes):
            return ""
        if self.output == wanted.output:
            return f"finds {self.classes} classes, and the data has {wanted.classes}"
        if len(self.output) == len(wanted.output) == 1:
            return f"has {self.classes} classes, and the data {wanted.classes}"
        return f"makes {by(self.output)} of an example, and the task {data.task} takes {by(wanted.output)}"

    def input_specs(self) -> list[Takes]:
        """Return the inputs as a user's function gets them."""
        return self.inputs or [Takes(name="input", kind="image", shape=(self.channels, *self.size))]

    def build(self, code: Code = NO_CODE) -> nn.Module:
        """Return the module with fresh weights, or published ones if the network says so.

        It is in torch's usual layout. Training and inference run image networks in `channels_last`; but a user's own
        network keeps its layout, for its code may rely on it. `code` is what the recipe lets run.
        """
        from ..training.memory_format import prefer_channels_last
        from .pruning import forget

        if self.members:
            from .ensemble import Ensemble, Stack

            members = [member.build(code) for member in self.members]
            if self.combine == "stack":
                return Stack(members, self.classes, self.task)
            return Ensemble(members, self.weights, self.task, self.combine)
        assert self.network is not None
        if self.network.own:
            from .custom import create

            module = create(self.network, self, code)
        else:
            from .zoo import create as from_zoo

            module = from_zoo(self.network, self)
        if self.pruned:
            from .pruning import replay

            try:
                replay(module, self.pruned, self.example())
            except (AttributeError, IndexError, KeyError, RuntimeError) as error:
                raise UserError(
                    f"`{self.network.arch}` has no layers for the pruning that was recorded: {error}",
                    "is it the network that was pruned?",
                ) from error
        forget(module)  # it has run on zeros, and its weights are loaded after that
        return prefer_channels_last(module) if self.channels and not self.network.own else module
