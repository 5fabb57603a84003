"""Build the user's own network: `def build(num_classes, in_chans, …)`.

The recipe names the file.

The function gets the recipe's `args`. If it has parameters of these names, and `args` does not set them, it also gets
`num_classes`, how many numbers the network answers; `in_chans`, the first dimension of its only input (channels of an
image or a series, columns of numbers; not of tokens); and `inputs`, one `zoo.Takes` for each input, with its `name`,
`kind`, `shape` of one example and, of tokens, `vocabulary`. It returns an nn.Module that takes one tensor
(batch, *shape) for each input and gives one float tensor (batch, num_classes), for a batch of any size. Masks are
(batch, num_classes, height, width) as large as the image, heat maps (batch, points, …, …) of any size, and pictures
(batch, channels, height, width) as large as the targets. Of detection it has `heads` and `decode`; see `detectors`.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from ..core.errors import OwnCodeError, UserError
from ..core.user_code import Code, Function, theirs
from .description import Description, Network
from .output_shape import VECTORS, fits, is_map

BATCHES = (1, 3)
"""A device asks about one example, training about several."""


def create(network: Network, description: Description, code: Code) -> nn.Module:
    """Return the module with fresh weights, run on zeros. Raises: OwnCodeError where it breaks the contract above."""
    function = code[network.arch]
    module = function(**_arguments(function, network.args, description))
    if not isinstance(module, nn.Module):
        returned = "the class" if isinstance(module, type) else f"a {type(module).__name__}"
        raise OwnCodeError(f"{function.about} returned {returned}", "return an nn.Module")
    if description.task == "detection":
        from .detectors import as_detector

        try:
            module = as_detector(module, description.classes, description.size)
        except (UserError, ValidationError) as error:
            raise OwnCodeError(f"the network of {function.about}: {_first(error)}", _help(error)) from error
    module.register_forward_pre_hook(_usual_layout)
    module.eval()
    for batch in BATCHES:
        _try(module, function, description, batch)
    return module


def _arguments(function: Function, args: dict[str, Any], description: Description) -> dict[str, Any]:
    """Return `args` and the other arguments that the signature takes."""
    wanted = inspect.signature(function.called).parameters
    inputs = description.input_specs()
    known: dict[str, Any] = {"num_classes": description.classes, "inputs": inputs}
    if len(inputs) == 1 and inputs[0].kind != "tokens":
        known["in_chans"] = inputs[0].shape[0]
    return {name: value for name, value in known.items() if name in wanted} | args


def _usual_layout(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Make inputs contiguous: `.view` in a network for torch's usual layout fails on the one that images have."""
    return tuple(value.contiguous() for value in inputs)


def _try(module: nn.Module, function: Function, description: Description, batch: int) -> None:
    example = [value.expand(batch, *value.shape[1:]).clone() for value in description.example()]
    shapes = " and ".join(" × ".join(map(str, value.shape)) for value in example)
    try:
        with torch.no_grad():  # not inference mode: what a lazy layer makes here is trained later
            outputs = module(*example)
    except Exception as error:
        raise theirs(error, function.path, f"the network of {function.about}, given zeros of {shapes},") from error
    help = f"return one float tensor (batch, {', '.join(str(side or '?') for side in description.output)})"
    if not isinstance(outputs, Tensor):
        count = f" of {len(outputs)}" if isinstance(outputs, tuple | list) else ""
        raise OwnCodeError(f"the network of {function.about} returns a {type(outputs).__name__}{count}", help)
    shape = " × ".join(map(str, outputs.shape)) or "a number"
    if not fits(outputs.shape, (batch, *description.output)):
        help = help if len(description.output) > 1 else _meant(outputs, help)
        raise OwnCodeError(f"the network of {function.about}, given {shapes}, returns {shape}", help)
    if description.task == "detection":
        _require_heads(module, outputs, function, description)
    if not outputs.is_floating_point():
        raise OwnCodeError(f"the network of {function.about} returns {outputs.dtype}", help)


def _require_heads(module: Any, outputs: Tensor, function: Function, description: Description) -> None:
    """Raise OwnCodeError unless the heads have as many numbers and places as `decode` says."""
    from .decoder import anchors, centres

    decode = module.edgepress.decode
    wanted = decode.columns(description.classes)
    if outputs.shape[2] != wanted:
        raise OwnCodeError(
            f"the heads of {function.about} have {outputs.shape[2]} numbers for each place, and `decode` with "
            f"{description.classes} classes takes {wanted}",
            "boxes, objectness where `decode` has it, and a score for each class, and for `background`",
        )
    grid = anchors if decode.levels else centres if decode.strides else None
    if grid and len(places := grid(decode, description.size)) != outputs.shape[1]:
        raise OwnCodeError(
            f"the heads of {function.about} have {outputs.shape[1]} places, and the `decode` of them {len(places)}",
            "are `strides`, or `levels`, those of the maps, finest first?",
        )


def _first(error: UserError | ValidationError) -> str:
    if isinstance(error, UserError):
        return error.problems[0].message
    first = error.errors()[0]
    return f"`decode`: {'.'.join(map(str, first['loc'])) or 'it'}: {first['msg'].removeprefix('Value error, ')}"


def _help(error: UserError | ValidationError) -> str:
    return error.problems[0].help if isinstance(error, UserError) else "see `decode` in the documentation of detection"


def _meant(outputs: Tensor, help: str) -> str:
    if is_map(outputs.shape):
        return f"{help}; {VECTORS}"
    return f"{help}: a function with a parameter `num_classes` gets their number" if outputs.ndim == 2 else help
