"""Define a user's own data: `data: ./photos`, `{from: ./labels.csv, …}`."""

from __future__ import annotations

import re
from collections import Counter
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

from ..core import foreign
from ..core.document import Document
from ..core.errors import Mistake, UserError, suggest
from ..core.paths import folder_of
from ..core.units import Share
from .dataset import NAMES, Task
from .kinds import TAKES, WHAT, Kind, file_of, kind_of, missing, unannotated
from .normalize import Moments, Normalize
from .target_options import wrong_targets


class Shares(BaseModel):
    """Shares of the validation and test splits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    validation: Share = Field(
        default=0.1, description="share for validation: selection and calibration", examples=["10%"]
    )
    test: Share = Field(default=0.2, description="share for test, which is only reported", examples=["20%"])

    @property
    def train(self) -> float:
        return 1 - self.validation - self.test

    @model_validator(mode="after")
    def _leaves_some(self) -> Self:
        if min(self.validation, self.test) <= 0 or self.validation + self.test > 0.9:
            raise Mistake(
                "a share is more than 0%, and the two leave 10% or more for training",
                "for example {validation: 10%, test: 20%}",
            )
        return self


Side = Annotated[int, Field(ge=8, le=4096)]


def _there(text: str, info: ValidationInfo) -> str:
    """Check that the path is there. Only a recipe knows its folder; without one the path is checked when it is read."""
    if text in NAMES or not isinstance(info.context, Document) or info.context.loose:
        return text
    if wrong := missing(text, info.context.path.parent):
        recipe = info.context.path
        if recipe.parent.resolve() == folder_of("recipes").resolve():
            raise Mistake(
                wrong[0], f"`edgepress cp {recipe.stem} mine.yaml` makes a recipe of yours: name your data there"
            )
        raise Mistake(*wrong)
    return text


def _annotated(text: str, info: ValidationInfo) -> str:
    """Check that annotations are there: a folder, or a .json."""
    if (
        isinstance(info.context, Document)
        and not info.context.loose
        and (wrong := unannotated(text, info.context.path))
    ):
        raise Mistake(*wrong)
    return text


def _listed(labels: tuple[str | int, ...] | str, info: ValidationInfo) -> tuple[str, ...] | str:
    """Check class names, each once, as text; or the name of a file of them, whose folder only a recipe knows."""
    if isinstance(labels, str):
        if labels not in ("imagenet", "none") and isinstance(info.context, Document) and not info.context.loose:
            path = info.context.path.parent / labels
            if wrong := foreign.refused(labels, path):
                raise Mistake(*wrong)
            beside = path.parent.iterdir() if path.parent.is_dir() else ()
            known = [file.name for file in beside if file.suffix == ".txt"]
            words = "a list, `imagenet`, or a text file with one name a line"
            act = suggest(labels, ["imagenet", "none", *known], words)
            if wrong := foreign.missing(path, labels, act):
                raise Mistake(*wrong)
        return labels
    names = tuple(map(str, labels))
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise Mistake(f"`labels` has `{twice[0]}` twice", "each class once")
    return names


def _is_none(value: Any) -> bool:
    return value is None


class Source(BaseModel):
    """Your own data: a folder of images, a CSV, an .npz, a function, or a data set of Hugging Face."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    source: Annotated[str, AfterValidator(_there)] = Field(
        alias="from",
        description="path relative to the recipe's folder: a folder with one folder of images per class, a .csv, an "
        ".npz with x and y, `FILE.py:FUNCTION`, or the `dataset_dict.json` that `save_to_disk` of Hugging "
        "Face wrote. `hf://OWNER/NAME@REVISION` downloads one",
        examples=["./photos", "./labels.csv", "./x.npz", "./my_data.py:load", "hf://OWNER/NAME"],
    )
    size: Side | tuple[Side, Side] | None = Field(
        default=None,
        description="image size in pixels, one side or [height, width]; by default their own, if all are the same",
    )
    color: Literal["grey", "rgb"] | None = Field(
        default=None, description="color mode, one channel or three; by default rgb, unless every image is grey"
    )
    resize: Literal["crop", "squash", "pad"] = Field(
        default="crop",
        description="resizing: center crop, distort the whole image, or pad it with black bars; by default `crop`, and "
        "`pad` for a folder with boxes",
    )
    unreadable: Literal["refuse", "skip"] = Field(
        default="refuse", description="handling of image files that cannot be read"
    )
    normalize: Normalize | None = Field(
        default=None,
        description="normalization of inputs, as a published network expects it: `none` (pixels are divided by 255, "
        "other values stay), `raw` (pixels stay 0 to 255), `imagenet`, or {mean: […], std: […]} of pixels from 0 to 1 "
        "or of other values as they are; by default the mean and deviation of the training examples",
    )
    labels: Annotated[tuple[str | int, ...] | str, AfterValidator(_listed)] | None = Field(
        default=None,
        description="class names in the order of a model's outputs, as a list or a text file with one name per line; "
        "by default the names of the class folders, in alphabetical and whole numbers in numerical order. `imagenet` "
        "stands for its 1,000 classes: the images then need no class folders, and models are evaluated by `metric: "
        "agreement`. The same holds for other names where there are no class folders; `none` is for images of a model "
        "that is no classifier",
        examples=[["cat", "dog"], "./labels.txt"],
    )
    image: str | None = Field(
        default=None,
        description="CSV column of image paths, relative to the CSV's folder; or column of the images that a function "
        "or a data set of Hugging Face gives, `image` by default",
    )
    label: str | tuple[str, ...] | None = Field(
        default=None,
        description="column of labels, of a CSV or of what a function gives, or several columns of 0 and 1 or of "
        "numbers; `label` by default",
    )
    columns: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="CSV columns of numeric inputs; by default all others, or none if there are images",
    )
    group: str | None = Field(
        default=None,
        description="group that must not be in two splits, such as a person: a CSV column, or a regular expression "
        "matched against an image's path",
        examples=[r"(subject\d+)"],
    )
    split: Shares | None = Field(
        default=None,
        description="shares of the validation and test splits; 10% and 20% by default, or 30% and 60% for data without "
        "labels",
    )
    task: Task | None = Field(
        default=None,
        description="kind of task; by default regression for numbers with a decimal point, multi-label for several "
        "columns of 0 and 1, segmentation with `masks`, image with `pictures`, detection with `boxes`, else "
        "single-label. `embedding` takes classes as identities, each of which is kept in one split. Labels in one "
        "column of a multi-label CSV are separated by `|`",
    )
    masks: Annotated[str, AfterValidator(_there)] | None = Field(
        default=None,
        exclude_if=_is_none,
        description="segmentation: folder of masks, PNG files with the images' names, whose palette indices or grey "
        "values are the classes and 255 is void. `from` then needs no class folders",
        examples=["./masks"],
    )
    pictures: Annotated[str, AfterValidator(_there)] | None = Field(
        default=None,
        exclude_if=_is_none,
        description="image to image: folder of target pictures with the images' names, such as those without noise or "
        "of more pixels. `from` then needs no class folders",
        examples=["./sharp"],
    )
    boxes: Annotated[str, AfterValidator(_annotated)] | None = Field(
        default=None,
        exclude_if=_is_none,
        description="detection: COCO's .json, or a folder of annotations with the images' names, Pascal VOC's .xml or "
        "YOLO's .txt. With `task: detection` alone they are found in the usual folders below `from`",
        examples=["./annotations.json", "./Annotations", "./labels"],
    )
    flip_pairs: tuple[tuple[str, str], ...] | None = Field(
        default=None,
        exclude_if=_is_none,
        description="keypoints: pairs of points that change places in a mirror image, by their labels",
        examples=[[["left eye", "right eye"]]],
    )
    args: dict[str, Any] = Field(
        default_factory=dict, description="keyword arguments of the function, or of `datasets.load_dataset`"
    )

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return {"from": value} if isinstance(value, str) else value
        labels = value.get("labels")
        if odd := [item for item in labels if type(item) not in (str, int)] if isinstance(labels, list) else []:
            written = "null" if odd[0] is None else str(odd[0]).lower()
            raise Mistake(f"`labels` has `{written}`, which YAML reads as no text", f'put it in quotes: `"{written}"`')
        # Behind a validator of Python values, pydantic is strict about lists for tuples as it is not in JSON.
        return {name: item if name == "args" else _tuples(item) for name, item in value.items()}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        known = {"source", "normalize", *TAKES[self.kind]} | ({"split"} if self.kind != "shipped" else set())
        for name in sorted(self.model_fields_set - known):
            takers = [WHAT[kind] for kind, options in TAKES.items() if name in options]
            raise Mistake(
                f"`{name}` is an option of {' or '.join(takers) or 'data of your own'}, and `from` names "
                f"{WHAT[self.kind]}",
                f"a folder or file of yours with that name is `./{self.source}`" if self.kind == "shipped" else "",
            )
        if self.kind == "folder" and self.group is not None:
            try:
                re.compile(self.group)
            except (re.error, OverflowError, RecursionError) as error:
                raise Mistake(f"`group` is not a regular expression: {error}") from None
        if reason := wrong_targets(self):
            raise Mistake(*reason)
        decoded = self.kind == "folder" or self.image is not None
        if decoded and isinstance(self.normalize, Moments) and not self.normalize.of_pixels_to_1():
            raise Mistake(
                "`normalize` is of pixels from 0 to 1, whose mean and deviation are no more than that",
                "numbers for pixels from 0 to 255 are divided by 255",
            )
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        # A plain string is the same as `from` alone.
        written = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [{"type": "string"}, {**written}], "description": written.get("description", "")}

    @property
    def kind(self) -> Kind:
        return kind_of(self.source)

    @property
    def listed(self) -> tuple[str, ...]:
        """Return the classes that the recipe lists, in its order; none by default. `load` reads a file of them."""
        if self.labels == "imagenet":
            from .folder import imagenet

            return imagenet()
        return () if self.labels is None or isinstance(self.labels, str) else tuple(map(str, self.labels))

    @property
    def resizing(self) -> Literal["crop", "squash", "pad"]:
        """Return `resize`; pictures with boxes are padded by default, since a crop cuts off what is to be found."""
        boxes = self.boxes is not None or self.task == "detection"
        return "pad" if boxes and "resize" not in self.model_fields_set else self.resize

    @property
    def has_boxes(self) -> bool:
        """Return whether it is a folder of images with annotations of boxes."""
        return self.kind == "folder" and (self.boxes is not None or self.task == "detection")

    def path(self, base: Path) -> Path:
        """Return the file or folder; `UserError` when there is none."""
        if wrong := missing(self.source, base):
            raise UserError(*wrong)
        return base / file_of(self.source)

    def based(self, base: Path) -> Self:
        """Return the same with the paths of folders beside `from` counted from `base`; `UserError` for missing ones."""
        folders = {name: value for name in ("masks", "pictures", "boxes") if (value := getattr(self, name))}
        for name, value in folders.items():
            if wrong := unannotated(value, base / "recipe") if name == "boxes" else missing(value, base):
                raise UserError(*wrong)
        return self.model_copy(update={name: str(base / value) for name, value in folders.items()})


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _tuples(item) for name, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
