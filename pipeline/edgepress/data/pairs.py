"""Take the pairs of (image, label) that a data set of torch, of Hugging Face or any iterable gives, one at a time."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from ..core.errors import UserError, suggest
from . import images
from .boxes import pairs as boxes
from .listing import suffixes
from .source import Source
from .split import SPLITS
from .words import by, described, several

_GREY = ("1", "L", "LA", "La", *images.WIDE)
_CALLED = {bool: "a whole number", int: "a whole number", float: "a number", str: "text", list: "several values"}
"""What labels are, in words; those of one data set are of one type."""


class Origin(NamedTuple):
    """What gives pairs: what tells it from any other, and its error at an example in words."""

    key: tuple[str, ...]
    failed: Callable[[Exception, int], UserError]


def by_part(returned: object) -> dict[str, Any]:
    """Return data sets by the split that they give, '' for one that is to be split; nothing where it is none.

    A data set can be iterated, or has a length and items by number. Arrays and tuples of them are none.
    Raises: UserError for a loader, whose items are batches.
    """
    if _is_torchs(returned, "DataLoader"):
        raise UserError(
            "the function returned a DataLoader, which gives batches",
            "return its data set: batches are made in training",
        )
    if isinstance(returned, Mapping):
        splits = {SPLITS[1] if name == "val" else str(name): each for name, each in returned.items()}
        return splits if set(splits) <= set(SPLITS) and all(map(_gives, splits.values())) else {}
    return {"": returned} if _gives(returned) else {}


def _gives(returned: object) -> bool:
    plain = isinstance(returned, str | bytes | tuple | Mapping | np.ndarray) or hasattr(returned, "__array__")
    return not plain and (hasattr(returned, "__iter__") or _by_number(returned))


def _by_number(pairs: object) -> bool:
    """Tell whether items are had by number, as of a map-style data set; torch's iterable ones inherit `[]`, too."""
    return hasattr(pairs, "__getitem__") and length(pairs) is not None and not _is_torchs(pairs, "IterableDataset")


def _is_torchs(pairs: object, kind: str) -> bool:
    torch = sys.modules.get("torch.utils.data")  # whoever gives one has imported it
    return torch is not None and isinstance(pairs, getattr(torch, kind))


def length(pairs: Any) -> int | None:
    """Return how many pairs there are to be, where it is known."""
    try:
        return len(pairs)
    except (TypeError, NotImplementedError):  # of an iterable; torch's raise the second
        return None


def labels_of(pairs: Any, source: Source) -> tuple[str, ...]:
    """Return the names of classes that a data set of Hugging Face has; `UserError` where it lacks a column."""
    columns = getattr(pairs, "column_names", None)
    if not columns:
        return ()
    image, labels = columns_of(source)
    for option, name in (("image", image), *(("label", label) for label in labels)):
        if name not in columns:
            raise UserError(
                f"`{source.source}` gives no column `{name}`, only {several([f'`{each}`' for each in columns])}",
                suggest(name, columns, f"name the column: `{option}: …`"),
            )
    features = getattr(pairs, "features", None) or {}  # a streamed one may not know them
    if source.task == "detection":
        return boxes.names(features.get(labels[0]))
    return tuple(getattr(features.get(labels[0]), "names", None) or ()) if len(labels) == 1 else ()


def columns_of(source: Source) -> tuple[str, tuple[str, ...]]:
    """Return the names of the column of images and of those of labels."""
    label = source.label or ("objects" if source.task == "detection" else "label")
    return source.image or "image", (label,) if isinstance(label, str) else label


def each(pairs: Any, source: Source, origin: Origin, most: int | None) -> Iterator[tuple[Any, Any]]:
    """Yield pairs, `most` at most: evenly spread where they are had by number, else the first.

    Raises: UserError for what is no pair, and as `origin` tells an error of what gives them.
    """
    count = length(pairs)
    if _by_number(pairs):
        assert count is not None, "what has items by number has a length"
        rows = range(count) if most is None or most >= count else [row * count // most for row in range(most)]
        items: Iterator[Any] = (pairs[row] for row in rows)
    else:
        items = islice(iter(pairs), count + 1 if most is None and count is not None else most)
    number = 0
    while True:
        try:
            item = next(items)
        except StopIteration:
            break
        except UserError:
            raise
        except Exception as error:
            raise origin.failed(error, number) from error
        yield _pair(item, source, number)
        number += 1
    if count is not None and most is None and number != count:
        more = "more" if number > count else number
        raise UserError(
            f"`{source.source}` gives {more} examples, and its length is {count}", "let `__len__` say how many"
        )


def _pair(item: Any, source: Source, number: int) -> tuple[Any, Any]:
    if isinstance(item, Mapping):
        image, labels = columns_of(source)
        if lacking := [name for name in (image, *labels) if name not in item]:
            raise UserError(
                f"`{source.source}`: example {number} has no `{lacking[0]}`, only {several(list(item))}",
                f"name what it has: `{'image' if lacking[0] == image else 'label'}: …`",
            )
        return item[image], item[labels[0]] if len(labels) == 1 else [item[name] for name in labels]
    if isinstance(item, tuple | list) and len(item) == 2:
        return item[0], item[1]
    raise UserError(
        f"`{source.source}`: example {number} is a {type(item).__name__}, no pair of an image and its label",
        "give `(image, label)`, or a dictionary with both",
    )


class Converter:
    """Convert images and labels of one data set to arrays; the first of each tells what the others have to be."""

    def __init__(self, source: Source) -> None:
        self.source, self.name = source, f"`{source.source}`"
        self.size = (source.size, source.size) if isinstance(source.size, int) else source.size
        self.grey: bool | None = {"grey": True, "rgb": False}.get(source.color or "")
        self.first: np.ndarray | None = None
        self.label: type | None = None
        self.map: np.ndarray | None = None
        """The first label that is an array of two dimensions or more, such as a mask."""
        self.sides: dict[int, tuple[int, int]] = {}
        """Height and width of pictures before they are resized, by number, until their boxes are read."""

    def value(self, raw: Any, number: int) -> np.ndarray:
        """Return an example as an array, pictures as uint8 (channels, height, width). Raises: UserError."""
        try:
            with images.quiet():
                value = self._array(raw, number)
        except images.BROKEN as error:
            raise UserError(
                f"{self.name}: example {number} cannot be read: {images.reason(error, Path())}",
                "bytes are those of an image file; leave the example out, or mend it",
            ) from error
        if self.first is None:
            self.first = value
        elif (value.shape, value.dtype) != (self.first.shape, self.first.dtype):
            sizes = value.ndim == self.first.ndim == 3 and value.dtype == np.uint8
            raise UserError(
                f"{self.name}: example {number} is {value.dtype} {by(value.shape)}, and those before it are "
                f"{self.first.dtype} {by(self.first.shape)}",
                "write `size: 224`, or another number of pixels" if sizes else "all have one shape and type",
            )
        return value

    def _array(self, raw: Any, number: int) -> np.ndarray:
        """Return the same; it raises the errors of Pillow's decoders, too."""
        if isinstance(raw, Mapping) and raw.get("bytes"):
            raw = raw["bytes"]  # as Hugging Face has images that are not decoded
        elif isinstance(raw, Mapping) and isinstance(raw.get("path"), str):
            raw = Path(raw["path"]).read_bytes()
        if isinstance(raw, bytes):
            suffixes()  # the decoders of optional packages are known from here on
            raw = Image.open(io.BytesIO(raw))
        elif hasattr(raw, "detach"):
            raw = raw.detach().cpu().numpy()  # a tensor
        if isinstance(raw, Image.Image):
            return self._picture(raw, number)
        array = np.asarray(raw)
        if (self.size or self.grey is not None) and array.dtype == np.uint8 and array.ndim in (2, 3):
            return self._picture(_image(array), number)
        return array

    def _picture(self, image: Image.Image, number: int) -> np.ndarray:
        if image.width * image.height > images.LARGEST or image.mode == "F":
            why = "floating-point numbers" if image.mode == "F" else f"more than {images.LARGEST / 1e6:.0f} million"
            raise ValueError(f"its pixels are {why}")
        if self.grey is None:
            self.grey = image.mode in _GREY
        if self.grey and self.source.color is None and image.mode not in _GREY:
            raise UserError(
                f"{self.name}: example {number} is coloured, and those before it are grey",
                "write `color: rgb`, or `color: grey`",
            )
        image = images.flat(ImageOps.exif_transpose(image), "L" if self.grey else "RGB")
        self.sides[number] = image.height, image.width
        if self.size:
            image = images.sized(image, self.size, self.source.resizing)
        array = np.asarray(image)
        return array[None] if self.grey else array.transpose(2, 0, 1)

    def target(self, raw: Any, number: int) -> Any:
        """Return a label as a plain number, text, a list of numbers, or a mask or boxes as an array.

        Raises: UserError.
        """
        sides = self.sides.pop(number, None)
        if self.source.task == "detection":
            about = f"{self.name}: example {number}"
            return boxes.boxes(raw, about, sides, self.size, self.source.resizing)
        if getattr(raw, "ndim", 0) > 1:
            array = np.asarray(raw.detach().cpu() if hasattr(raw, "detach") else raw)
            self.map = array if self.map is None else self.map
            if (array.shape, array.dtype) != (self.map.shape, self.map.dtype):
                raise UserError(
                    f"{self.name}: the label of example {number} is {described(array)}, and those before it are "
                    f"{described(self.map)}",
                    "all have one shape and type",
                )
            return array
        plain = raw.tolist() if hasattr(raw, "tolist") else list(raw) if isinstance(raw, tuple) else raw
        if type(plain) not in _CALLED:
            raise UserError(
                f"{self.name}: the label of example {number} is {'missing' if plain is None else repr(plain)}",
                "a label is a whole number, a number, text, or a list of them",
            )
        kind = int if isinstance(plain, bool) else type(plain)
        before = self.label = self.label or kind
        if before is not kind:
            raise UserError(
                f"{self.name}: the label of example {number} is {_CALLED[kind]}, `{plain}`, and of those before it "
                f"{_CALLED[before]}",
                "give all labels of one type",
            )
        return plain


def _image(array: np.ndarray) -> Image.Image:
    """Return a picture of uint8 pixels (height, width), (height, width, channels) or (channels, height, width)."""
    if array.ndim == 3 and array.shape[-1] not in (1, 3, 4):
        if array.shape[0] not in (1, 3, 4):
            raise ValueError(f"neither end of {by(array.shape)} is 1, 3 or 4 channels")
        array = array.transpose(1, 2, 0)
    return Image.fromarray(array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array)
