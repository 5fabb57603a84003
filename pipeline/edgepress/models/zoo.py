"""Build a network from its name, and save and load one without pickle.

A model file is safetensors whose metadata key `edgepress` holds a JSON description that rebuilds the module:
the name in the zoo and its arguments, the recorded pruning, or the members and weights of an ensemble. A network of
the user's own is `./my_model.py:build`; a description that names one is believed only if the recipe names it too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from ..core import user_code
from ..core.errors import Mistake, UserError
from ..core.user_code import Code

Task = Literal["single-label", "multi-label", "regression"]

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..data.dataset import Dataset, Input

METADATA_KEY = "edgepress"
NO_CODE = Code()


def _there(arch: str, info: ValidationInfo) -> str:
    return user_code.there(arch, info) if user_code.is_function(arch) else arch


class Network(BaseModel):
    """A network: `timm/NAME`, `torchvision/NAME`, `edgepress/NAME`, `./my_model.py:build`, or a mapping with its
    arguments."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arch: Annotated[str, AfterValidator(_there)] = Field(
        pattern=rf"^(timm|torchvision)/[a-z0-9_.]+$|^edgepress/[a-z0-9-]+$|{user_code.WRITTEN}",
        description="`timm/NAME`, `torchvision/NAME`, `edgepress/NAME`, or your own function that returns an "
        "nn.Module: `./my_model.py:build`, relative to the recipe's folder",
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

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"arch": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _own_is_taken_as_it_is(self) -> Self:
        if self.own and (self.pretrained or self.stride):
            option = "pretrained" if self.pretrained else "stride"
            help = "`{use: load, from: FILE, model: …}` has weights of your own" if self.pretrained else ""
            raise Mistake(f"`{option}` is for published networks", help or "choose strides in your function")
        return self

    @property
    def own(self) -> bool:
        """Whether the user's code builds it."""
        return user_code.is_function(self.arch)

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        mapping = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [mapping["properties"]["arch"], mapping]}

    def describe(self, data: Dataset) -> Description:
        """What `build` needs to make this network for `data`."""
        if len(data.inputs) == 1 and data.input.kind == "image":
            channels, height, width = data.input.shape
            return Description(
                network=self, channels=channels, classes=len(data.labels), size=(height, width), task=data.task
            )
        inputs = [Takes.model_validate(asdict(each), from_attributes=True) for each in data.inputs]
        return Description(network=self, inputs=inputs, classes=len(data.labels), task=data.task)


class Takes(BaseModel):
    """One input that is no image, as `data.Input` has it; the training data's moments are not the network's."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    kind: Literal["series", "numbers", "tokens", "image"]
    shape: tuple[int, ...]
    vocabulary: int = 0


class Description(BaseModel):
    """All that is needed to rebuild a module before its weights are put in.

    An image network has `channels` and `size`; any other has `inputs`. `classes` counts the answers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int = 0
    classes: int
    size: tuple[int, int] = (0, 0)
    task: Task = "single-label"
    inputs: list[Takes] = Field(default_factory=list)
    network: Network | None = None
    pruned: list[Any] = Field(default_factory=list)
    """torch-pruning's history, replayed on the fresh module."""
    members: list[Description] = Field(default_factory=list)
    weights: list[float] = Field(default_factory=list)
    """Of the members; a stack has its own among the tensors."""
    combine: Literal["probabilities", "logits", "stack"] = "probabilities"
    """What of the members' answers is averaged, or that a linear layer stands on them."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.network is None) == (not self.members):
            raise ValueError("a description has either a network or members")
        return self

    def takes(self) -> tuple[tuple[str, tuple[int, ...], int], ...]:
        """Kind, shape and vocabulary of every input, to compare with those of a data set."""
        if self.inputs:
            return tuple((each.kind, each.shape, each.vocabulary) for each in self.inputs)
        return (("image", (self.channels, *self.size), 0),)

    def example(self) -> tuple[Tensor, ...]:
        """Zeros that the module takes, a batch of one."""
        import torch

        return tuple(
            torch.zeros(1, *shape, dtype=torch.int64 if kind == "tokens" else torch.float32)
            for kind, shape, _ in self.takes()
        )

    def inputs_told(self) -> list[Takes]:
        """What a user's function is told about each input."""
        return self.inputs or [Takes(name="input", kind="image", shape=(self.channels, *self.size))]

    def build(self, code: Code = NO_CODE) -> nn.Module:
        """The module with fresh weights, or published ones if the network says so.

        Images in `channels_last`, the layout in which torch trains convolutions fastest; but a user's own network
        gets and keeps torch's usual layout, for its code may rely on it. `code` is what the recipe lets run.
        """
        from .memory_format import channels_last

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
            module = _create(self.network, self)
        if self.pruned:
            import torch_pruning

            graph = torch_pruning.DependencyGraph().build_dependency(module.eval(), self.example())
            try:
                graph.load_pruning_history(self.pruned)
            except (AttributeError, IndexError, KeyError, RuntimeError) as error:
                raise UserError(
                    f"`{self.network.arch}` has no layers for the pruning that was recorded: {error}",
                    "is it the network that was pruned?",
                ) from error
        return channels_last(module) if self.channels and not self.network.own else module


def save(module: nn.Module, description: Description, path: Path) -> None:
    """Write weights and description into one safetensors file. What is saved is not downloaded again."""
    from safetensors.torch import save_file

    if description.network is not None and description.network.pretrained:
        network = description.network.model_copy(update={"pretrained": False})
        description = description.model_copy(update={"network": network})

    tensors = {name: tensor.detach().contiguous().clone() for name, tensor in module.state_dict().items()}
    save_file(tensors, path, {METADATA_KEY: description.model_dump_json(exclude_defaults=True)})


def load(path: Path, code: Code = NO_CODE) -> tuple[nn.Module, Description]:
    """The module of a file that `save` wrote, in eval mode.

    Raises: UserError when it is not such a file, or when it names a function that is not in `code`.
    """
    description, tensors = read(path)
    if description is None:
        raise UserError(
            f"`{path}` does not name the network of its weights",
            "name it in the recipe: `- {use: load, from: …, model: timm/NAME}`",
        )
    return fill(description.build(code), tensors, path), description


def header(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file. Raises: UserError when it is none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise UserError(f"`{path}` is not a safetensors file: {error}") from error


def read(path: Path) -> tuple[Description | None, dict[str, Tensor]]:
    """What a safetensors file says of its network, if it does, and its tensors. Raises: UserError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dict
    except (SafetensorError, OSError) as error:
        raise UserError(f"`{path}` is not a safetensors file: {error}") from error
    if METADATA_KEY not in metadata:
        return None, tensors
    try:
        return Description.model_validate_json(metadata[METADATA_KEY]), tensors
    except ValidationError as error:
        raise UserError(
            f"the description in `{path}` is not one of a network", "was it written by edgepress?"
        ) from error


def fill(module: nn.Module, tensors: dict[str, Any], path: Path) -> nn.Module:
    """Put `tensors` into `module`. Raises: UserError with the first that is missing, surplus, or of another shape."""
    expected = module.state_dict()
    kinds = {
        "missing: `{0}`": sorted(expected.keys() - tensors.keys()),
        "not in the network: `{0}`": sorted(tensors.keys() - expected.keys()),
        "`{0}` is {1}, the network has {2}": [
            name for name in sorted(expected.keys() & tensors.keys()) if expected[name].shape != tensors[name].shape
        ],
    }
    if wrong := {words: names for words, names in kinds.items() if names}:
        first = [
            words.format(names[0], _shape(tensors.get(names[0])), _shape(expected.get(names[0])))
            + (f" and {len(names) - 1} more" if names[1:] else "")
            for words, names in wrong.items()
        ]
        raise UserError(
            f"`{path}` does not fit the network; {'; '.join(first)}",
            "is it a checkpoint of another architecture, or of another number of classes or channels?"
            if (prefix := _prefix(expected, tensors)) is None
            else f"each name begins with `{prefix}`: save the state dict of the module inside",
        )
    module.load_state_dict(tensors)
    return module.eval()


def _prefix(expected: Mapping[str, Any], tensors: Mapping[str, Any]) -> str | None:
    """What a wrapper, such as DataParallel, has put before every name; None if that is not all that differs."""
    head = next(iter(tensors), "").partition(".")[0] + "."
    return head if {f"{head}{name}" for name in expected} == set(tensors) else None


def _shape(tensor: Any) -> str:
    return "" if tensor is None else "×".join(map(str, tensor.shape)) or "a number"


def _create(network: Network, description: Description) -> nn.Module:
    import torch

    home, name = network.arch.split("/")
    try:
        module = _HOMES[home](name, network, description)
        if description.channels:
            _fit_stride(module, network.stride, description.channels, description.size)
        with torch.inference_mode():
            module.eval()(*description.example())
    except UserError:
        raise
    except Exception as error:  # timm checks nothing itself: each network fails in a way of its own
        first = (str(error).splitlines() or [type(error).__name__])[0]
        takes = " and ".join(" × ".join(map(str, shape)) or "a number" for _, shape, _ in description.takes())
        if network.pretrained:
            raise UserError(
                f"the published weights of `{network.arch}` could not be had: {_published(home, name)}: {first}",
                f"without a network: `pretrained: false` trains from scratch, or {_by_hand(home, name)}",
            ) from error
        help = "check the name and `args:`; some networks do not take inputs as small as these"
        raise UserError(f"{home} cannot build `{name}` for {takes}: {first}", help) from error
    return module


def _published(home: str, name: str) -> str:
    """Where the weights are: repository and file, or an address."""
    if home == "torchvision":
        from torchvision import models

        return str(models.get_model_weights(name).DEFAULT.url)
    repository = _repository(name)
    return f"`model.safetensors` of huggingface.co/{repository}" if repository else "timm has none"


def _by_hand(home: str, name: str) -> str:
    """How weights come to a machine without a network."""
    if home == "timm" and (repository := _repository(name)):
        return f"`hf download {repository}` where there is one, and copy its cache (~/.cache/huggingface, or $HF_HOME)"
    return "fetch the file elsewhere, and `- {use: load, from: FILE, model: …}`"


def _repository(name: str) -> str | None:
    import timm

    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    return config.hf_hub_id if config and config.has_weights else None


def _timm(name: str, network: Network, description: Description) -> nn.Module:
    import timm

    _only_images(network, description)
    module: nn.Module = timm.create_model(
        name,
        pretrained=network.pretrained,
        in_chans=description.channels,
        num_classes=description.classes,
        **network.args,
    )
    return module


def _torchvision(name: str, network: Network, description: Description) -> nn.Module:
    """A classifier of torchvision: it takes 3 channels, and its published weights have 1,000 classes."""
    from torchvision import models

    _only_images(network, description)
    if description.channels != 3:
        raise UserError(
            f"`{network.arch}` takes 3 channels, the data has {description.channels}",
            "`data: {color: rgb}`, or a network of timm, which takes any number",
        )
    module: nn.Module = models.get_model(name, weights=None, num_classes=description.classes, **network.args)
    if network.pretrained:
        published = models.get_model_weights(name).DEFAULT.get_state_dict(progress=False)
        own = module.state_dict()
        fits = {key: value for key, value in published.items() if key in own and own[key].shape == value.shape}
        module.load_state_dict(fits, strict=False)
    return module


def _edgepress(name: str, network: Network, description: Description) -> nn.Module:
    from .networks import create

    if network.pretrained:
        raise UserError(f"`{network.arch}` has no published weights", "leave `pretrained` out")
    return create(name, cast("list[Input]", description.inputs_told()), description.classes, network.args)


_HOMES: dict[str, Callable[[str, Network, Description], nn.Module]] = {
    "timm": _timm,
    "torchvision": _torchvision,
    "edgepress": _edgepress,
}


def _only_images(network: Network, description: Description) -> None:
    if not description.channels:
        kinds = ", ".join(each.kind for each in description.inputs)
        raise UserError(
            f"`{network.arch}` takes images, the data has {kinds}", "name a network such as edgepress/conv1d"
        )


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
