"""Decode and resize images, in training and for the device alike.

The device must do the same before it runs the exported file.

Resizing is torchvision's, with antialiasing; of a photo it gives what `Resize(side)` and `CenterCrop(side)` give.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..core.capacity import cores
from ..core.errors import UserError, first_line
from ..core.units import show_bytes
from .listing import HEIF, INSTALL, below, kind, suffixes

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")
SAMPLED = 64
"""So many files tell how long reading one takes."""
LARGEST = 89_478_485
"""Pixels; Pillow's own bound against files that unpack to fill the memory."""
WIDE = ("I;16", "I;16B", "I;16L", "I")
"""Pillow's modes of 16-bit grey."""
_GREY = {"1", "L", "LA", "La", *WIDE}
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)
"""What Pillow's decoders raise for bad files."""
_ANIMATED = {"GIF", "PNG", "WEBP", "TIFF", "AVIF", "FLI", "DCX"}
"""Formats whose files may hold several photos; behind the first of an MPO, a PSD or an icon are previews or parts."""
_TURNED = (5, 6, 7, 8)
"""EXIF orientations that swap height and width."""
_LONGEST = 8
"""More than so many times what is kept of an image need not be resized."""

Found = TypeVar("Found")


class Header(NamedTuple):
    height: int
    width: int
    grey: bool
    several: bool = False
    """Whether there are more pictures behind the first."""
    deep: bool = False
    """Whether it has 16 bits a channel, of which 8 are kept."""

    def turned_as(self, upright: Image.Image) -> Header:
        """Return the same with the sides as decoding turned them: what turns a picture may stand behind its pixels.

        A JPEG that was decoded smaller has other sides, and keeps its own, which stand before the pixels.
        """
        swapped = upright.size == (self.height, self.width)
        return self._replace(height=self.width, width=self.height) if swapped else self


def spread(of: Sequence[object], enough: int | None) -> list[int]:
    """Choose about `enough` rows: evenly spread over those of each class, and three of each."""
    if enough is None or enough >= len(of):
        return list(range(len(of)))
    rows: dict[object, list[int]] = {}
    for row, label in enumerate(of):
        rows.setdefault(label, []).append(row)
    chosen: list[int] = []
    for members in rows.values():
        count = min(len(members), max(3, -(-enough * len(members) // len(of))))
        chosen += [members[i * len(members) // count] for i in range(count)]
    return sorted(chosen)


def some(of: Sequence[object], parts: Sequence[object], limit: int | None) -> list[int]:
    """Choose rows that give each split about `limit`, a third of all to each that is not given.

    `parts` are the given splits of the rows, if there are any; others are taken from train.
    """
    most = None if limit is None else -(-10 * limit // 3)
    if limit is None or not parts:
        return spread(of, most)
    chosen: list[int] = []
    for part in dict.fromkeys(parts):
        rows = [row for row, own in enumerate(parts) if own == part]
        chosen += [rows[i] for i in spread([of[row] for row in rows], most if part == "train" else limit)]
    return sorted(chosen)


def few(paths: Sequence[str], rows: np.ndarray) -> tuple[Path, ...]:
    """Choose some of the files that were read, `rows` of `paths`, evenly spread."""
    return tuple(Path(paths[i]) for i in rows[:: -(-len(rows) // SAMPLED)])


def sizes(paths: Sequence[str], root: Path) -> list[tuple[int, int]]:
    """Return height and width of the images that can be read, among a thousand of `paths`."""
    with quiet():
        headers, _ = on_all(header, paths[:: -(-len(paths) // 1000) or 1], root)
    return [(header.height, header.width) for header in headers if header]


def bounded(needed: int, content: str, name: str) -> None:
    """Raise UserError when `needed` bytes are more than half of the free memory."""
    free = free_memory()
    if free is not None and needed > free / 2:
        raise UserError(
            f"`{name}`: {content} take {show_bytes(needed)}, more than half of the free {show_bytes(free)}",
            "write a smaller `size`, or take fewer",
        )


def free_memory() -> int | None:
    """Return the bytes that can be had without swapping; None where the system does not report them."""
    info = Path("/proc/meminfo")
    if not info.is_file():
        return None
    lines = dict(line.split(":", 1) for line in info.read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in lines else None


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Pillow's warnings of large images and odd EXIF; sizes are judged here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def on_all(work: Callable[[Path], Found], paths: Sequence[str], root: Path) -> tuple[list[Found | None], list[str]]:
    """Do `work` on every path in threads; return the results, and the unreadable files with the reason."""

    def attempt(path: str) -> tuple[Found | None, str]:
        try:
            return work(Path(path)), ""
        except BROKEN as error:
            return None, f"{below(path, root)} ({reason(error, Path(path))})"

    with ThreadPoolExecutor(cores()) as pool:
        results = list(pool.map(attempt, paths))
    return [result for result, _ in results], [why for _, why in results if why]


def reason(error: Exception, path: Path) -> str:
    """Return why a file cannot be read, in a few words."""
    if isinstance(error, UnidentifiedImageError):
        return INSTALL if kind(path.name) in HEIF - suffixes() else "no image"
    if isinstance(error, Image.DecompressionBombError):
        return "it is too large to be a photo"
    if "truncated" in str(error).lower():
        return "truncated"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return first_line(error)


def opened(path: Path) -> Image.Image:
    suffixes()  # the decoders of optional packages are known from here on
    return Image.open(path)


def packed(image: Image.Image) -> str:
    """Return how the file packs the pixels that Pillow unpacks into its `mode`, such as `L;4` or `RGB;16B`."""
    tiles = getattr(image, "tile", ())  # of files alone
    arguments = tiles[0].args if tiles else ""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def header(path: Path) -> Header:
    """Read size and mode from the first bytes; nothing is decoded. `turned_as` adds what decoding tells."""
    with opened(path) as image:
        width, height = image.size
        if width * height > LARGEST:
            raise ValueError(f"{width * height / 1e6:.0f} megapixels, and the most is {LARGEST / 1e6:.0f}")
        if image.mode == "F":
            raise ValueError("its pixels are floating-point numbers")
        # Pillow turns a TIFF itself. A PNG's own `getexif` would decode it to look for EXIF behind the pixels; that of
        # every image takes what stands before them: EXIF, EXIF as text, or XMP.
        exif = {} if image.format == "TIFF" else Image.Image.getexif(image)
        turned = exif.get(0x0112) in _TURNED
        grey, deep = image.mode in _GREY, image.mode in WIDE or ";16" in packed(image)
        several = image.format in _ANIMATED and _has_second(image)
        return Header(width if turned else height, height if turned else width, grey, several, deep)


def _has_second(image: Image.Image) -> bool:
    try:
        image.seek(1)
    except BROKEN:
        return False
    return True


def pixels(path: Path, *, grey: bool, size: tuple[int, int], resize: str, times: int = 1) -> np.ndarray:
    """Decode the image of a file, uint8 (channels, *size). Raises the errors of Pillow's decoders for bad files."""
    upright = decoded(path, "L" if grey else "RGB", 2 * max(size))
    array = np.asarray(sized(upright, size, resize, times=times))
    return array[None] if grey else np.ascontiguousarray(array.transpose(2, 0, 1))


def decoded(path: Path, mode: str, side: int) -> Image.Image:
    """Decode a file to `L` or `RGB`, upright. Raises the errors of Pillow's decoders for bad files.

    A JPEG is decoded at ½, ¼ or ⅛ where that leaves `side` pixels; orientation may swap its sides.
    """
    with opened(path) as image:
        image.draft(mode, (side, side))
        image.load()
        return flat(ImageOps.exif_transpose(image), mode)


def sized(
    image: Image.Image, size: tuple[int, int], resize: str, *, nearest: bool = False, fill: int = 0, times: int = 1
) -> Image.Image:
    """Resize the image: its middle, all of it distorted, or all of it in the middle of black, or of `fill`.

    A mask is to have the `nearest` pixels, since no class is between two others. Sides and margins are multiples of
    `times`, as they are of an image so many times smaller.
    """
    from torchvision.transforms import functional

    height, width = size
    how = functional.InterpolationMode.NEAREST if nearest else functional.InterpolationMode.BILINEAR
    if image.size == (width, height):
        return image
    if resize == "squash":
        return functional.resize(image, [height, width], how)
    if resize == "pad":
        inner = _inner((image.height, image.width), size, min, times)
        top, margin = ((whole // times - part // times) // 2 * times for whole, part in zip(size, inner, strict=True))
        shrunk = functional.resize(image, list(inner), how)
        return functional.pad(shrunk, [margin, top, width - inner[1] - margin, height - inner[0] - top], fill)
    # What is cut off anyway goes first where it is most of the image: a very long one would be enlarged out of memory.
    image = _center(image, _uncut((image.height, image.width), size), times)
    inner = _inner((image.height, image.width), size, max, times)
    return _center(functional.resize(image, list(inner), how), size, times)


def placed(whole: tuple[int, int], size: tuple[int, int], resize: str) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and shift (2,), down and right, of what `sized` makes of an image of `whole`, height and width.

    What is `at` in the image is `at * scale + shift` then.
    """
    if whole == size or resize == "squash":
        return np.divide(size, whole), np.zeros(2)
    if resize == "pad":
        inner = _inner(whole, size, min, 1)
        return np.divide(inner, whole), np.array([(all_ - part) // 2 for all_, part in zip(size, inner, strict=True)])
    kept = _uncut(whole, size)
    inner = _inner((kept[0], kept[1]), size, max, 1)
    scale = np.divide(inner, kept)
    return scale, -np.array(_margins(whole, kept, 1)) * scale - np.array(_margins(inner, size, 1))


def _uncut(whole: tuple[int, int], size: tuple[int, int]) -> list[int]:
    """Return height and width of the middle that is resized, of an image of `whole` whose rest is cut off anyway."""
    (high, wide), (height, width) = whole, size
    return [min(high, _LONGEST * -(-wide * height // width)), min(wide, _LONGEST * -(-high * width // height))]


def _center(image: Image.Image, size: Sequence[int], times: int) -> Image.Image:
    """Return the middle of `size`, as `CenterCrop` does."""
    top, left = _margins((image.height, image.width), size, times)
    return image.crop((left, top, left + size[1], top + size[0]))


def _margins(whole: Sequence[int], size: Sequence[int], times: int) -> list[int]:
    return [round((own // times - part // times) / 2) * times for own, part in zip(whole, size, strict=True)]


def _inner(
    whole: tuple[int, int], size: tuple[int, int], choose: Callable[[float, float], float], times: int
) -> tuple[int, int]:
    """Scale height and width so that one of them is that of `size`; the other is rounded down, as by `Resize`."""
    height, width, high, wide = (side // times for side in (*size, *whole))
    if choose(height / high, width / wide) == height / high:
        return height * times, max(1, height * wide // high) * times
    return max(1, width * high // wide) * times, width * times


def flat(image: Image.Image, mode: str) -> Image.Image:
    """Convert the image to `L` or `RGB`."""
    if image.mode in WIDE:
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError("its pixels are wider than 16 bits")
        image = Image.fromarray(np.round(values / 257).astype(np.uint8))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)
