"""Save and load networks as safetensors with their description."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import (
    ValidationError,
)

from ..core import foreign, system_errors
from ..core.errors import UserError
from ..core.user_code import Code
from .description import METADATA_KEY, NO_CODE, Description

if TYPE_CHECKING:
    from torch import Tensor, nn


_DENSEST = 32
"""Bytes of tensors for one byte of a file, at most; torch does not compress, and weights hardly can be."""
_AGAIN = "save it anew with `torch.save(model.state_dict(), path)`"


def save(module: nn.Module, description: Description, path: Path) -> None:
    """Write weights and description into one safetensors file; nothing in it is downloaded again."""
    from safetensors.torch import save_file

    if description.network is not None and description.network.pretrained:
        network = description.network.model_copy(update={"pretrained": False})
        description = description.model_copy(update={"network": network})

    tensors = {name: tensor.detach().contiguous().clone() for name, tensor in module.state_dict().items()}
    save_file(tensors, path, {METADATA_KEY: description.model_dump_json(exclude_defaults=True)})


def load(path: Path, code: Code = NO_CODE) -> tuple[nn.Module, Description]:
    """Return the module of a file that `save` wrote, in eval mode.

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
    """Return the metadata of a safetensors file. Raises: UserError when it is none."""
    from safetensors import SafetensorError, safe_open

    foreign.size(path)
    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise system_errors.of(error, path) or UserError(f"`{path}` is not a safetensors file: {error}") from error


def read(path: Path) -> tuple[Description | None, dict[str, Tensor]]:
    """Return the network's description in a safetensors file, if there is one, and the tensors. Raises: UserError."""
    from safetensors import SafetensorError, safe_open

    foreign.size(path)
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dict
    except (SafetensorError, OSError) as error:
        raise system_errors.of(error, path) or UserError(f"`{path}` is not a safetensors file: {error}") from error
    if METADATA_KEY not in metadata:
        return None, tensors
    try:
        description = Description.model_validate_json(metadata[METADATA_KEY])
    except ValidationError as error:
        raise UserError(
            f"the description in `{path}` is not one of a network", "was it written by edgepress?"
        ) from error
    if description.classes > (numbers := sum(tensor.numel() for tensor in tensors.values())):
        raise UserError(
            f"`{path}` describes a network of {description.classes:,} outputs, and has {numbers:,} weights",
            "was it written by edgepress?",
        )
    return description, tensors


def check_archive(path: Path) -> int:
    """Return the bytes of a `.pt` file. Raises: UserError for a file that unpacks to more than weights can."""
    length = foreign.size(path)
    try:
        with zipfile.ZipFile(path) as archive:
            promised = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return length  # of torch's older format, or damaged, which torch tells
    if promised > _DENSEST * length:
        raise UserError(f"`{path}` has {length:,} bytes, and promises tensors of {promised:,}", _AGAIN)
    return length


def check_views(tensors: Mapping[str, Tensor], length: int, path: Path) -> None:
    """Refuse tensors that show the few numbers of a file of `length` bytes again and again."""
    for name, tensor in tensors.items():
        shown = tensor.numel() * tensor.element_size()
        if shown > max(_DENSEST * length, tensor.untyped_storage().nbytes()):
            raise UserError(f"`{path}`: `{name}` is a view of {shown:,} bytes in a file of {length:,}", _AGAIN)


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
    """Return the prefix that a wrapper, such as DataParallel, puts before every name; None if more differs."""
    head = next(iter(tensors), "").partition(".")[0] + "."
    return head if {f"{head}{name}" for name in expected} == set(tensors) else None


def _shape(tensor: Any) -> str:
    return "" if tensor is None else "×".join(map(str, tensor.shape)) or "a number"
