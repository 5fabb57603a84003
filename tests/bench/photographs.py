"""Photographs that scikit-learn and scikit-image carry in their wheels, and variants of them, as JPEG files.

Each variant is a part of a photograph, mirrored or not, at another scale and JPEG quality; the same files each time.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

SKLEARN = ("china.jpg", "flower.jpg")
SKIMAGE = (
    "astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "clock_motion.png", "coffee.png",
    "coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png", "microaneurysms.png", "moon.png",
    "motorcycle_left.png", "motorcycle_right.png", "page.png", "retina.jpg", "rocket.jpg", "text.png",
)  # fmt: skip
"""Every photograph of `skimage.data` that needs no download; drawings and charts are left out."""


def sources() -> list[Path]:
    """The photographs that are installed: the 2 of scikit-learn, and 20 with scikit-image."""
    found = [_package("sklearn.datasets") / "images" / name for name in SKLEARN]
    if find_spec("skimage"):
        found += [_package("skimage") / "data" / name for name in SKIMAGE]
    return found


def make(folder: Path, each: int) -> list[Path]:
    """Write `each` variants of every photograph into `folder`; the files, the original first of each."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for path in sources():
        random = np.random.default_rng(sum(path.stem.encode()))
        with Image.open(path) as image:
            photograph = image.convert("RGB")
        for number in range(each):
            file = folder / f"{path.stem}-{number:02}.jpg"
            found, quality = varied(photograph, random) if number else (photograph, 95)
            found.save(file, quality=quality)
            made.append(file)
    return made


def varied(image: Image.Image, random: np.random.Generator) -> tuple[Image.Image, int]:
    """A part of the image, 50% to 100% of each side, mirrored or not, its shorter side 128 to 640; a JPEG quality."""
    wide, high = (int(side * random.uniform(0.5, 1)) for side in image.size)
    left, top = int(random.integers(0, image.width - wide + 1)), int(random.integers(0, image.height - high + 1))
    part = image.crop((left, top, left + wide, top + high))
    if random.random() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    scale = random.uniform(128, 640) / min(part.size)
    size = max(1, round(wide * scale)), max(1, round(high * scale))
    return part.resize(size, Image.Resampling.LANCZOS), int(random.integers(50, 96))


def _package(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
