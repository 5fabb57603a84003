"""Draw the panels of example pictures: images, masks and boxes, scaled down and side by side."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from ..core.boxes import CLASS
from ..core.metrics import VOID

SIDE = 96
"""Pixels of the longer side of a panel; a larger picture is scaled down to it."""
COLOURS = 96
"""Colours of a picture that has several panels, which keeps it small."""
_PALETTE = np.array(
    [
        [38, 70, 83], [230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178], [213, 94, 0],
        [204, 121, 167], [148, 103, 189], [140, 86, 75], [188, 189, 34], [23, 190, 207],
    ],
    np.uint8,
)  # fmt: skip
"""Colours of classes that stay apart for the colour-blind (Okabe & Ito, 2008), and four more."""


def image(raw: np.ndarray) -> Image.Image:
    """Return raw pixels (c, h, w) as a picture whose longer side has at most `SIDE` pixels; of 1 or 3 channels."""
    channels = raw if raw.shape[0] in (1, 3) else raw[:1]
    pixels = np.moveaxis(np.clip(channels, 0, 255).astype(np.uint8), 0, -1)
    return _small(
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB"), Image.Resampling.LANCZOS
    )


def colours(labels: Sequence[str], present: np.ndarray) -> dict[str, str]:
    """Return the colours of the classes `present`, indices of `labels`, as `#rrggbb`."""
    known = np.unique(present[(present >= 0) & (present < len(labels))]).astype(int).tolist()
    return {labels[label]: "#{:02x}{:02x}{:02x}".format(*_PALETTE[label % len(_PALETTE)].tolist()) for label in known}


def coloured(mask: np.ndarray) -> Image.Image:
    """Return a mask (h, w) with a colour for each class, and void in grey."""
    pixels = _PALETTE[mask.astype(np.int64) % len(_PALETTE)]
    pixels[mask == VOID] = 128
    return _small(Image.fromarray(pixels), Image.Resampling.NEAREST)


def boxed(raw: np.ndarray, boxes: np.ndarray) -> Image.Image:
    """Return raw pixels (c, h, w) with boxes (k, 6), x0, y0, x1, y1, any number and the class, in the class's colour.

    A rim of black or white, whichever is farther from the colour, keeps a box visible on any picture.
    """
    panel = image(raw)
    scale = panel.size[0] / raw.shape[2]
    pen = ImageDraw.Draw(panel)
    for x0, y0, x1, y1, _, label in boxes[np.isfinite(boxes).all(1) & (boxes[:, CLASS] >= 0)]:
        red, green, blue = _PALETTE[int(label) % len(_PALETTE)].tolist()
        left, top = (min(max(side * scale, 0), most - 1) for side, most in zip((x0, y0), panel.size, strict=True))
        right, bottom = (min(max(side * scale, 0), most - 1) for side, most in zip((x1, y1), panel.size, strict=True))
        if right < left or bottom < top:
            continue
        rim = (0, 0, 0) if red + green + blue > 330 else (255, 255, 255)
        pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=rim, width=4)
        pen.rectangle((left, top, right, bottom), outline=(red, green, blue), width=2)
    return panel


def _small(picture: Image.Image, how: Image.Resampling) -> Image.Image:
    scale = SIDE / max(picture.size)
    size = [max(1, round(side * scale)) for side in picture.size]
    return picture if scale >= 1 else picture.resize((size[0], size[1]), how)


def beside(panels: Sequence[Image.Image]) -> Image.Image:
    """Return the panels side by side, with a gap of two pixels."""
    width, height = panels[0].size
    strip = Image.new("RGB", (len(panels) * (width + 2) - 2, height), (255, 255, 255))
    for index, panel in enumerate(panels):
        strip.paste(panel.resize((width, height), Image.Resampling.NEAREST), (index * (width + 2), 0))
    return strip


def png(picture: Image.Image, colours: int = 0) -> bytes:
    content = io.BytesIO()
    (picture.quantize(colours) if colours else picture).save(content, "PNG", optimize=True)
    return content.getvalue()
