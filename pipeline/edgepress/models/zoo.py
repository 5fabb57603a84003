"""Build a network from its name, and save and load one without pickle.

A model file is safetensors whose metadata key `edgepress` holds a JSON description that rebuilds the module:
the name in the zoo and its arguments, the recorded pruning, or the members and weights of an ensemble. A network of
the user's own is `./my_model.py:build`; a description that names one is believed only if the recipe names it too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from ..core.errors import UserError, first_line
from . import network_options
from .description import Description, Network
from .output_shape import by, fits

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..data.dataset import Input


def create(network: Network, description: Description) -> nn.Module:
    import torch

    home, _, name = network.arch.partition("/")
    try:
        module = _HOMES[home](name, network, description)
        if description.channels and description.task != "detection":
            _fit_stride(module, network.stride, description.channels, description.size)
        with torch.no_grad():  # not inference mode: what a layer stores here is trained with later
            made = tuple(module.eval()(*description.example()).shape[1:])
    except UserError:
        raise
    except Exception as error:  # timm checks nothing itself: each network fails in a way of its own
        first = first_line(error)
        takes = " and ".join(" × ".join(map(str, shape)) or "a number" for _, shape, _ in description.takes())
        if network.pretrained:
            raise UserError(
                f"the published weights of `{network.arch}` could not be had: {_published(home, name)}: {first}",
                f"without a network: `pretrained: false` trains from scratch, or {_by_hand(home, name)}",
            ) from error
        help = "check the name and `args:`; some networks do not take inputs as small as these"
        raise UserError(f"{home} cannot build `{name}` for {takes}: {first}", help) from error
    if not fits(made, description.output):
        raise UserError(
            f"`{network.arch}` makes {by(made)} of one example, and the task is {description.task}, of "
            f"{by(description.output)}",
            network_options.fitting(description.task),
        )
    return module


def _published(home: str, name: str) -> str:
    """Return the place of the weights: repository and file, or an address."""
    if home == "torchvision":
        from torchvision import models

        return str(models.get_model_weights(name.rpartition("/")[2]).DEFAULT.url)
    repository = _repository(name)
    return f"`model.safetensors` of huggingface.co/{repository}" if repository else "timm has none"


def _by_hand(home: str, name: str) -> str:
    """Return how weights come to a machine without a network."""
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
    if description.task == "detection":
        from .detectors import on_timm as detector_on_timm

        return detector_on_timm(name, network, description)
    if len(description.output) > 1:
        from .dense import on_timm

        return on_timm(name, network, description)
    module: nn.Module = timm.create_model(
        name,
        pretrained=network.pretrained,
        in_chans=description.channels,
        num_classes=description.classes,
        **network.args,
    )
    return module


def _torchvision(name: str, network: Network, description: Description) -> nn.Module:
    """Build a network of torchvision: 3 channels, and published weights for 1,000 classes, or 21 of pixels."""
    from torchvision import models

    kind, _, name = name.rpartition("/")

    _only_images(network, description)
    if description.channels != 3:
        raise UserError(
            f"`{network.arch}` takes 3 channels, the data has {description.channels}",
            "`data: {color: rgb}`, or a network of timm, which takes any number",
        )
    if kind == "segmentation":
        from .dense import of_torchvision

        module = of_torchvision(name, network, description)
    elif kind == "detection":
        from .detectors import of_torchvision as detector_of_torchvision

        module = detector_of_torchvision(name, network, description)
    else:
        module = models.get_model(name, weights=None, num_classes=description.classes, **network.args)
    if network.pretrained:
        published = models.get_model_weights(name).DEFAULT.get_state_dict(progress=False)
        own = module.state_dict()
        fits = {key: value for key, value in published.items() if key in own and own[key].shape == value.shape}
        module.load_state_dict(fits, strict=False)
    return module


def _edgepress(name: str, network: Network, description: Description) -> nn.Module:
    from .networks import MAPS, create

    if network.pretrained:
        raise UserError(f"`{network.arch}` has no published weights", "leave `pretrained` out")
    outputs = description.output if name in MAPS else description.classes
    return create(name, cast("list[Input]", description.input_specs()), outputs, network.args)


_HOMES: dict[str, Callable[[str, Network, Description], nn.Module]] = {
    "timm": _timm,
    "torchvision": _torchvision,
    "edgepress": _edgepress,
}


def _only_images(network: Network, description: Description) -> None:
    if not description.channels:
        kinds = ", ".join(input.kind for input in description.inputs)
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
        """Return the last map's side: 0 while too small, or with one of two parallel paths changed; -1 without one."""
        try:
            with torch.no_grad():
                features = _last_map(module.eval(), torch.zeros(1, channels, *size))
        except RuntimeError:
            return 0
        return int(features.shape[-1]) if isinstance(features, torch.Tensor) and features.ndim == 4 else -1

    side = cells() if hasattr(module, "forward_features") or hasattr(module, "backbone") else -1
    if side < 0:
        if stride:
            raise UserError("this network has no feature map whose stride could be set", "leave `stride` out")
        return
    wanted = max(1, -(-size[1] // stride)) if stride else min(2, size[1])
    for name, layer in module.named_modules():
        if side >= wanted:
            return
        if (
            name.removeprefix("backbone.").startswith(_STEM)
            and isinstance(layer, nn.Conv2d | nn.MaxPool2d)
            and layer.stride not in (1, (1, 1))
        ):
            layer.stride = (1, 1)
            side = cells()
    if stride and side < wanted:
        raise UserError(
            f"the stem leaves {side} × {side} cells of {size[0]} × {size[1]} pixels, not the {wanted} "
            f"of `stride: {stride}`",
            "leave `stride` out, or choose a larger one",
        )


def _last_map(module: Any, x: Tensor) -> Any:
    if hasattr(module, "forward_features"):
        return module.forward_features(x)
    maps = module.backbone(x)
    return list(maps.values() if isinstance(maps, dict) else maps)[-1]


_STEM = ("stem", "conv_stem", "conv1", "conv2", "maxpool", "features.conv0", "features.pool0", "0.")
"""What timm's networks call the layers before their blocks, and the MobileNetV3 of torchvision's segmentation."""
