"""A user's own data, as a recipe writes it: `data: ./photos`, or `data: {from: ./labels.csv, label: kind, …}`."""

from __future__ import annotations

import importlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    model_validator,
)
from pydantic_core import CoreSchema

from ..errors import Mistake, UserError, suggest
from ..units import Share
from ..yamlio import Document
from . import NAMES, Dataset, Task

Kind = Literal["folder", "table", "arrays", "user"]
"""What there is to read; each is a module here, with `read(source, path) -> Examples | Dataset`."""

_SUFFIXES: dict[str, Kind] = {".csv": "table", ".tsv": "table", ".npz": "arrays"}
_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
_IMAGES = {"size", "color", "resize", "unreadable"}
_MOMENTS = {"mean", "std"}
_TAKES: dict[Kind, set[str]] = {
    "folder": {*_IMAGES, *_MOMENTS, "group"},
    "table": {*_IMAGES, *_MOMENTS, "image", "label", "columns", "group", "task"},
    "arrays": {*_MOMENTS, "task"},
    "user": {*_MOMENTS, "args", "task"},
}
"""The options that each kind has beside `from` and `split`."""
_WHAT = {"folder": "a folder of images", "table": "a CSV", "arrays": "an .npz", "user": "a function"}
_READS = "a folder of images, a .csv, an .npz and `FILE.py:FUNCTION` are read"


class Shares(BaseModel):
    """How much is kept from learning."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    validation: Share = Field(default=0.1, description="what decides: selection, calibration", examples=["10%"])
    test: Share = Field(default=0.2, description="what is only reported", examples=["20%"])

    @model_validator(mode="after")
    def _leaves_some(self) -> Self:
        if min(self.validation, self.test) <= 0 or self.validation + self.test > 0.9:
            raise Mistake(
                "a share is more than 0%, and the two leave 10% or more to learn from",
                "for example {validation: 10%, test: 20%}",
            )
        return self


Side = Annotated[int, Field(ge=8, le=4096)]


def _there(text: str, info: ValidationInfo) -> str:
    """Only a recipe knows the folder that a path counts from; without one the path is checked when it is read."""
    if isinstance(info.context, Document) and (wrong := _missing(text, info.context.path.parent)):
        raise Mistake(*wrong)
    return text


class Source(BaseModel):
    """A user's own data: a folder of images, a CSV, an .npz, or a function of theirs."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    source: Annotated[str, AfterValidator(_there)] = Field(
        alias="from",
        description="a folder with one folder of images a class, a .csv, an .npz with x and y, or `FILE.py:FUNCTION`; "
        "a path counts from the recipe's folder",
        examples=["./photos", "./labels.csv", "./x.npz", "./my_data.py:load"],
    )
    size: Side | tuple[Side, Side] | None = Field(
        default=None,
        description="the side of the images in pixels, or [height, width]; by default their own, if all are the same",
    )
    color: Literal["grey", "rgb", "bgr"] | None = Field(
        default=None,
        description="one channel or three; by default rgb, unless every image is grey; `bgr` for a network that was "
        "trained on what OpenCV reads",
    )
    mean: tuple[float, ...] | None = Field(
        default=None,
        min_length=1,
        description="what is taken off, of pixels between 0 and 1, once or for each channel; by default that of the "
        "training examples; a network that was trained elsewhere has its own",
        examples=[[0.485, 0.456, 0.406]],
    )
    std: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        default=None,
        min_length=1,
        description="what the rest is divided by; given together with `mean`",
        examples=[[0.229, 0.224, 0.225]],
    )
    resize: Literal["crop", "squash", "pad"] = Field(
        default="crop", description="keep the middle, the whole distorted, or the whole between black bars"
    )
    unreadable: Literal["refuse", "skip"] = Field(
        default="refuse", description="what to do when image files cannot be read"
    )
    image: str | None = Field(default=None, description="the CSV's column of image paths, which count from its folder")
    label: str | tuple[str, ...] | None = Field(
        default=None, description="the CSV's column of labels, or several of 0 and 1 or of numbers; `label` by default"
    )
    columns: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="the CSV's columns of numbers; by default all others, or none if there are images",
    )
    group: str | None = Field(
        default=None,
        description="what must not be in two splits, such as a person: the CSV's column, or a regular expression that "
        "finds it in an image's path",
        examples=[r"(subject\d+)"],
    )
    split: Shares | None = Field(
        default=None, description="how much is kept for validation and test; 10% and 20% by default"
    )
    task: Task | None = Field(
        default=None,
        description="by default regression for numbers with a decimal point, multi-label for several columns of 0 and "
        "1, else single-label; labels in one column of a multi-label CSV are separated by `|`",
    )
    args: dict[str, Any] = Field(default_factory=dict, description="what the function is called with")

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return {"from": value} if isinstance(value, str) else value
        # Behind a validator of Python values, pydantic is strict about lists for tuples as it is not in JSON.
        return {name: tuple(each) if isinstance(each, list) else each for name, each in value.items()}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        known = {"source", "split", *_TAKES[self.kind]}
        for name in sorted(self.model_fields_set - known):
            takers = [_WHAT[kind] for kind, options in _TAKES.items() if name in options]
            raise Mistake(f"`{name}` is an option of {' or '.join(takers)}, and `from` names {_WHAT[self.kind]}")
        if (self.mean is None) != (self.std is None):
            raise Mistake("`mean` and `std` go together", "for example {mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}")
        if self.kind == "folder" and self.group is not None:
            try:
                re.compile(self.group)
            except re.error as error:
                raise Mistake(f"`group` is not a regular expression: {error}") from None
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        # A plain string is the same as `from` alone.
        written = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [{"type": "string"}, {**written}], "description": written.get("description", "")}

    @property
    def kind(self) -> Kind:
        if ".py:" in self.source:
            return "user"
        return _SUFFIXES.get(Path(self.source).suffix.lower(), "folder")

    def path(self, base: Path) -> Path:
        """The file or folder; `UserError` when there is none."""
        if wrong := _missing(self.source, base):
            raise UserError(*wrong)
        return base / _file(self.source)

    def read(self, base: Path = Path(), seed: int = 0) -> Dataset:
        """The data in its splits, the same ones for the same seed. Raises: UserError.

        `base` is what a path counts from: the recipe's folder.
        """
        from .divide import divide

        path = self.path(base)
        found = importlib.import_module(f".{self.kind}", __package__).read(self, path)
        if isinstance(found, Dataset):
            if self.split is not None:
                raise UserError(f"`{self.source}` gives its splits, and `split` would change them", "take `split` out")
            return self._normalised(found)
        data = divide(found.checked(path.name, self.task), self.split, seed, path.stem, str(path))
        return self._normalised(data)

    def _normalised(self, data: Dataset) -> Dataset:
        """`data` with what was done to its images noted, and the moments given here in place of the measured ones."""
        done = {"bgr": self.color == "bgr", "resize": self.resize} if self.kind in ("folder", "table") else {}
        inputs = [replace(each, **done) if each.kind == "image" else each for each in data.inputs]
        if self.mean is not None and self.std is not None:
            channels = data.input.shape[0]
            if data.input.kind == "tokens" or {len(self.mean), len(self.std)} - {1, channels}:
                what = "tokens" if data.input.kind == "tokens" else f"{channels} channels or columns"
                raise UserError(
                    f"`{data.name}` has {what}; `mean` gives {len(self.mean)} numbers, and `std` {len(self.std)}",
                    "one number, or one for each channel",
                )
            inputs = [replace(inputs[0], mean=self.mean, std=self.std)]
        return replace(data, inputs=tuple(inputs))


def _file(text: str) -> str:
    """The path in `./my_data.py:load`."""
    return text.rpartition(":")[0] if ".py:" in text else text


def _missing(text: str, base: Path) -> tuple[str, str] | None:
    """What is wrong with a path, and what to do about it."""
    path = base / _file(text)
    if path.suffix.lower() in _ARCHIVES:
        return "archives are not read", "unpack it, and name the folder"
    if not path.exists():
        beside = path.parent
        known = [each.name for each in beside.iterdir() if not each.name.startswith(".")] if beside.is_dir() else []
        if "/" not in text:
            known += NAMES
        return f"there is no file or folder `{text}`", suggest(
            path.name, known, "a path counts from the recipe's folder"
        )
    if path.suffix.lower() == ".py" and ".py:" not in text:
        return f"`{text}` names no function", f"for example `{text}:load`"
    if path.is_dir() == (".py:" in text or path.suffix.lower() in _SUFFIXES):
        return f"`{text}` is a {'folder' if path.is_dir() else 'file'} of no kind that is read", _READS
    return None
