"""Find the option and the model that an error of pydantic is about."""

from __future__ import annotations

import re
import types
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from .document import Loc


@dataclass(frozen=True)
class Spot:
    """The meaning of pydantic's location, which names the chosen member of a union too, which no file has.

    `kind` is the type expected there and `parent` the one around it; `choice` is the location of the outermost union
    without a discriminator on the way, `member` the label of its member, and `inside` whether it goes on from there.
    """

    where: Loc = ()
    kind: Any = None
    parent: Any = None
    about: str = ""
    choice: Loc | None = None
    member: str = ""
    inside: bool = False


def follow(model: type[BaseModel], loc: tuple[int | str, ...], *, unknown: bool = False) -> Spot:
    """Walk `loc`, a location in a pydantic error, down the types of `model`; `unknown` says that it ends in an option
    that there is not."""
    spot = Spot(kind=model)
    for index, part in enumerate(loc):
        members = _members(spot.kind)
        if len(members) > 1 and not tags_of(spot.kind):
            # A validator of ours that takes one member itself leaves its label out.
            last = unknown and index == len(loc) - 1
            taken = [member for member in members if _is_model(member) and (last or str(part) in options(member))]
            members = taken if len(taken) == 1 else members
        if len(members) > 1:
            if spot.choice is None and not tags_of(spot.kind):
                spot = replace(spot, choice=spot.where, member=str(part))
            label = re.findall(r"\w+", str(part))  # `Finetune`, or `function-after[check(), Finetune]`
            named = (member for member in members if _is_model(member) and member.__name__ in label)
            spot = replace(spot, kind=tags_of(spot.kind).get(str(part)) or next(named, None))
            continue
        kind, about = _child(members[0], part)
        inside = spot.choice is not None
        spot = replace(spot, where=(*spot.where, part), kind=kind, parent=members[0], about=about, inside=inside)
    return spot


def _child(kind: Any, part: int | str) -> tuple[Any, str]:
    """Return the type and the description of the option `part` in a value of type `kind`."""
    if _is_model(kind):
        option = options(kind).get(str(part))
        return (option.annotation, option.description or "") if option else (None, "")
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        return arguments[1], ""
    if get_origin(kind) is tuple and isinstance(part, int) and ... not in arguments:
        return arguments[part] if part < len(arguments) else None, ""
    return (arguments[0] if arguments else None), ""


def options(kind: Any) -> dict[str, FieldInfo]:
    """Return the options of a model, as they are written."""
    return {field.alias or name: field for name, field in kind.model_fields.items()} if _is_model(kind) else {}


def _members(kind: Any) -> list[Any]:
    """Return the members of a union without None, or `kind` alone."""
    if get_origin(kind) is Annotated:
        return _members(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return [member for argument in get_args(kind) if argument is not type(None) for member in _members(argument)]
    return [kind]


def tags_of(kind: Any) -> dict[str, type[BaseModel]]:
    """Map `use` to the stage, for a union of stages."""
    stages: dict[str, type[BaseModel]] = {}
    for member in _members(kind):
        option = member.model_fields.get("use") if _is_model(member) else None
        if option is None or get_origin(option.annotation) is not Literal:
            return {}
        stages.update((tag, member) for tag in get_args(option.annotation))
    return stages


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
