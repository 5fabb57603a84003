"""Check the options of a network against each other and the data.

Nothing is built, so that `edgepress validate` needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.errors import Rejection, suggest
from ..data.facts import DataFacts

if TYPE_CHECKING:
    from .description import Network


@dataclass(frozen=True)
class Inputs:
    """The inputs of a network of edgepress, and its arguments with their defaults."""

    takes: str
    fit: Callable[[Sequence[str]], bool]
    args: dict[str, int | float]


INPUTS = {
    "attention": Inputs(
        "one input of tokens or of series",
        lambda kinds: kinds in (("tokens",), ("series",)),
        {"width": 64, "depth": 2, "heads": 4, "dropout": 0.2},
    ),
    "conv1d": Inputs(
        "one input of series",
        lambda kinds: kinds == ("series",),
        {"width": 32, "depth": 3, "kernel": 5, "dropout": 0.2},
    ),
    "espcn": Inputs("one image", lambda kinds: kinds == ("image",), {"width": 32, "depth": 3}),
    "mlp": Inputs(
        "numbers, series or images",
        lambda kinds: "tokens" not in kinds,
        {"width": 128, "depth": 2, "dropout": 0.1},
    ),
    "text": Inputs(
        "one input of tokens", lambda kinds: kinds == ("tokens",), {"width": 64, "kernel": 3, "dropout": 0.5}
    ),
    "two-tower": Inputs(
        "two or more inputs of tokens, and numbers",
        lambda kinds: kinds.count("tokens") > 1 and set(kinds) <= {"tokens", "numbers"},
        {"width": 16, "hidden": 64, "depth": 1, "dropout": 0.2},
    ),
}
"""Networks `edgepress/NAME`; a test compares the arguments with those of the functions that build them."""
CHOICE = "for a series `conv1d`, tokens `text`, either `attention`, several tokens `two-tower`, numbers `mlp`"
MAPS = ("segmentation", "keypoints", "image")
"""Tasks whose outputs are maps (channels, height, width)."""


def fitting(task: str) -> str:
    """Return which networks have the outputs of a task."""
    if task == "detection":
        return "`timm/NAME`, which gets a head for boxes, or `torchvision/detection/NAME`"
    if task == "image":
        return "`edgepress/espcn`, or `timm/NAME`, which gets a head for maps"
    if task in MAPS:
        return "`timm/NAME`, which gets a head for maps, or `torchvision/segmentation/NAME`"
    return "`timm/NAME`, `torchvision/NAME`, or one of edgepress for other inputs than images"


def makes_maps(network: Network, task: str) -> bool:
    """Return whether a published network has maps as outputs; one of timm has what the task needs."""
    if network.arch.startswith("timm/"):
        return task in MAPS
    return network.arch.startswith(("torchvision/segmentation/", "edgepress/espcn"))


def rejections(network: Network, data: DataFacts, option: str) -> Iterator[Rejection]:
    """Yield why `network`, the value of `option`, cannot be built for the data; names are checked elsewhere."""
    if network.own:
        return
    home, _, name = network.arch.partition("/")
    at = (option, "arch")
    finds = network.arch.startswith("torchvision/detection/") or (home == "timm" and data.task == "detection")
    if data.task and finds != (data.task == "detection"):
        makes = "makes boxes" if finds else "makes none"
        about = "of detection are boxes" if data.task == "detection" else f"of {data.task} are none"
        yield Rejection(f"the outputs {about}, and `{network.arch}` {makes}", fitting(data.task), at)
        return
    if data.task and makes_maps(network, data.task) != (data.task in MAPS):
        outputs = "maps" if data.task in MAPS else "one vector for each example"
        yield Rejection(
            f"the outputs of {data.task} are {outputs}, and those of `{network.arch}` are not", fitting(data.task), at
        )
    if network.arch == "edgepress/espcn" and data.task == "keypoints":
        message = "`edgepress/espcn` makes pictures of a known size, and heat maps of points have none"
        yield Rejection(message, "`timm/NAME`, which gets a head for maps", at)
    if network.embedding and data.task not in ("embedding", None):
        yield Rejection(
            f"`embedding` is for the task embedding, and the data's is {data.task}",
            "leave it out",
            (option, "embedding"),
        )
    if network.head and (home != "timm" or data.task not in ("detection", None)):
        help = "it is the head that `timm/NAME` gets for boxes; leave it out"
        yield Rejection("this network gets no such head", help, (option, "head"))
    if network.stride and data.task == "detection":
        help = "the strides of its maps are those of its boxes; leave it out"
        yield Rejection("the stride of a detector cannot be set", help, (option, "stride"))
    with_width = network.head == "fcos" and data.task in ("detection", None)
    if network.head_channels and (home != "timm" or not (with_width or data.task in (*MAPS, None))):
        help = "it is the head that `timm/NAME` gets for masks, heat maps and pictures; leave it out"
        yield Rejection("this network gets no head", help, (option, "head_channels"))
    if home == "edgepress":
        if name in INPUTS:
            yield from _edgepress(INPUTS[name], network, data, option)
    elif data.kinds and data.kinds != ("image",):
        kinds = ", ".join(data.kinds)
        yield Rejection(f"`{network.arch}` takes images, the data has {kinds}", f"a network of edgepress: {CHOICE}", at)
    elif home == "torchvision" and data.channels not in (3, None):
        help = "`data: {color: rgb}`, or a network of timm, which takes any number"
        yield Rejection(f"`{network.arch}` takes 3 channels, the data has {data.channels}", help, at)


def _edgepress(inputs: Inputs, network: Network, data: DataFacts, option: str) -> Iterator[Rejection]:
    if network.pretrained:
        help = "leave `pretrained` out"
        yield Rejection(f"`{network.arch}` has no published weights", help, (option, "pretrained"))
    if data.kinds and not inputs.fit(data.kinds):
        kinds = ", ".join(data.kinds)
        yield Rejection(f"`{network.arch}` takes {inputs.takes}, the data has {kinds}", CHOICE, (option, "arch"))
    wrong = list(_arguments(network, inputs, option))
    yield from wrong
    width, heads = ({**inputs.args, **network.args}.get(key, 1) for key in ("width", "heads"))
    if not wrong and width % heads:
        yield Rejection(f"`width: {width}` is not a multiple of `heads: {heads}`", "", (option, "args"))


def _arguments(network: Network, inputs: Inputs, option: str) -> Iterator[Rejection]:
    for key, value in network.args.items():
        if key not in inputs.args:
            help = suggest(key, inputs.args)
            yield Rejection(f"`{network.arch}` takes no `{key}`", help, (option, "args", key))
        elif wrong := _value(key, value, inputs.args[key]):
            yield Rejection(f"`{key}` of `{network.arch}` is {value!r}", wrong, (option, "args", key))


def _value(key: str, value: Any, default: int | float) -> str:
    """Return what is right in place of a wrong value, or nothing."""
    whole = isinstance(default, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        return f"it is a {'whole ' * whole}number"
    if not (value >= 1 if whole else 0 <= value < 1):
        return "it is at least 1" if whole else "it is from 0 to less than 1"
    return "it is odd, so that it has a middle" if key == "kernel" and value % 2 == 0 else ""
