"""Build a network from its name, and save and load one without pickle.

A model file is safetensors whose metadata key `edgepress` holds a JSON description that rebuilds the module:
the name in the zoo and its arguments, the recorded pruning, or the members and weights of an ensemble.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from .errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from .data import Dataset

METADATA_KEY = "edgepress"


class Network(BaseModel):
    """A network of the zoo: `timm/NAME`, or a mapping with the arguments that timm's constructor takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arch: str = Field(pattern=r"^timm/[a-z0-9_.]+$", description="`timm/NAME`")
    args: dict[str, Any] = Field(default_factory=dict, description="arguments of the timm constructor")
    stride: int | None = Field(
        default=None,
        ge=1,
        description="input pixels to a cell of the last feature map; the first strides become 1 until it holds. "
        "By default the last feature map of a small image keeps at least 2 × 2 cells",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"arch": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        mapping = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [mapping["properties"]["arch"], mapping]}

    def describe(self, data: Dataset) -> Description:
        channels, height, width = data.shape
        return Description(network=self, channels=channels, classes=len(data.labels), size=(height, width))


class Description(BaseModel):
    """All that is needed to rebuild a module before its weights are put in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int
    classes: int
    size: tuple[int, int]
    network: Network | None = None
    pruned: list[Any] = Field(default_factory=list)
    """torch-pruning's history, replayed on the fresh module."""
    members: list[Description] = Field(default_factory=list)
    weights: list[float] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.network is None) == (not self.members):
            raise ValueError("a description has either a network or members")
        return self

    def build(self) -> nn.Module:
        """The module with fresh weights, in `channels_last`, the layout in which torch trains convolutions fastest."""
        import torch

        if self.members:
            from .ensemble import Ensemble

            return Ensemble([member.build() for member in self.members], self.weights)
        assert self.network is not None
        module = _create(self.network, self.channels, self.classes, self.size)
        if self.pruned:
            import torch_pruning

            example = torch.zeros(1, self.channels, *self.size)
            graph = torch_pruning.DependencyGraph().build_dependency(module.eval(), example)
            graph.load_pruning_history(self.pruned)
        return module.to(memory_format=torch.channels_last)


def save(module: nn.Module, description: Description, path: Path) -> None:
    """Write weights and description into one safetensors file."""
    from safetensors.torch import save_file

    tensors = {name: tensor.detach().contiguous().clone() for name, tensor in module.state_dict().items()}
    save_file(tensors, path, {METADATA_KEY: description.model_dump_json(exclude_defaults=True)})


def load(path: Path) -> tuple[nn.Module, Description]:
    """The module of a file that `save` wrote, in eval mode; `UserError` when it is not such a file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dict
    except (SafetensorError, OSError) as error:
        raise UserError(f"`{path}` is not a safetensors file: {error}") from error
    if METADATA_KEY not in metadata:
        raise UserError(
            f"`{path}` does not say which network its weights belong to",
            "name it in the recipe: `- {use: load, from: …, model: timm/NAME}`",
        )
    try:
        description = Description.model_validate_json(metadata[METADATA_KEY])
    except ValidationError as error:
        raise UserError(
            f"the description in `{path}` is not one of a network", "was it written by edgepress?"
        ) from error
    return fill(description.build(), tensors, path), description


def fill(module: nn.Module, tensors: dict[str, Any], path: Path) -> nn.Module:
    """Put `tensors` into `module`; any difference is an error with the count and the first one."""
    expected = module.state_dict()
    wrong = [
        f"`{name}` is {_shape(tensors.get(name))}, the network has {_shape(expected.get(name))}"
        for name in sorted(expected.keys() | tensors.keys())
        if _shape(tensors.get(name)) != _shape(expected.get(name))
    ]
    if wrong:
        raise UserError(
            f"`{path}` does not fit the network: {len(wrong)} of {len(expected)} tensors differ; first {wrong[0]}",
            "is it a checkpoint of another architecture, or of another number of classes or channels?",
        )
    module.load_state_dict(tensors)
    return module.eval()


def _shape(tensor: Any) -> str:
    return "missing" if tensor is None else "×".join(map(str, tensor.shape)) or "a number"


def _create(network: Network, channels: int, classes: int, size: tuple[int, int]) -> nn.Module:
    import timm
    import torch

    name = network.arch.removeprefix("timm/")
    try:
        module: nn.Module = timm.create_model(name, in_chans=channels, num_classes=classes, **network.args)
        _fit_stride(module, network.stride, channels, size)
        with torch.inference_mode():
            module.eval()(torch.zeros(1, channels, *size))
    except UserError:
        raise
    except Exception as error:  # timm checks nothing itself: each network fails in a way of its own
        first = (str(error).splitlines() or [type(error).__name__])[0]
        pixels = f"{channels} × {size[0]} × {size[1]} pixels"
        help = "check the name and `args:`; some networks do not take images as small as these"
        raise UserError(f"timm cannot build `{name}` for {pixels}: {first}", help) from error
    return module


def _fit_stride(module: Any, stride: int | None, channels: int, size: tuple[int, int]) -> None:
    """Set strides of the stem to 1, first ones first, until the total stride is `stride`, or leaves 2 × 2 cells.

    Only the stem: the two paths of a residual block have to keep the same stride.
    """
    import torch
    from torch import nn

    def cells() -> int:
        """0 while the image is too small, or only one of two parallel paths has its new stride; -1 without a map."""
        try:
            with torch.inference_mode():
                features = module.eval().forward_features(torch.zeros(1, channels, *size))
        except RuntimeError:
            return 0
        return int(features.shape[-1]) if features.ndim == 4 else -1

    found = cells() if hasattr(module, "forward_features") else -1
    if found < 0:
        if stride:
            raise UserError("this network has no feature map whose stride could be set", "leave `stride` out")
        return
    wanted = max(1, -(-size[1] // stride)) if stride else min(2, size[1])
    for name, layer in module.named_modules():
        if found >= wanted:
            return
        if name.startswith(_STEM) and isinstance(layer, nn.Conv2d | nn.MaxPool2d) and layer.stride not in (1, (1, 1)):
            layer.stride = (1, 1)
            found = cells()
    if stride and found < wanted:
        raise UserError(
            f"the stem leaves {found} × {found} cells of {size[0]} × {size[1]} pixels, not the {wanted} "
            f"of `stride: {stride}`",
            "leave `stride` out, or choose a larger one",
        )


_STEM = ("stem", "conv_stem", "conv1", "conv2", "maxpool", "features.conv0", "features.pool0")
"""What timm's networks call the layers before their blocks."""
