"""Write example pictures of a run, `runs/NAME/pictures/`: what the result gets wrong, the worst first.

Classes and masks have them, where the inputs are pictures. `run --no-pictures` writes none, and deletes those of the
last run. Files of somebody else in that folder stay; `SHA256SUMS` lists the run's own.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from ..core import ownership
from ..core.metrics import VOID
from ..core.paths import replacing
from ..core.results import ModelFile, Picture, Report
from ..gate.judge import host_file
from .dense import is_dense
from .engine import Engine

FOLDER = "pictures"
OTHER = "move it away, or choose another `--runs`"
MOST, MOST_MASKS = 12, 8
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


def free(folder: Path) -> ownership.Known:
    """Return the pictures of earlier runs. Raises: UserError where a file of somebody else may be in the way."""
    known = ownership.read(folder) or {}
    ownership.free(folder, sorted(path.name for path in folder.glob("[0-9]*.png")), known, OTHER)
    return known


def write(engine: Engine, report: Report, folder: Path, *, wanted: bool) -> list[Picture]:
    """Write the pictures into `folder`, and delete those of earlier runs. Returns what the report lists."""
    known = free(folder)
    found = list(_pictures(engine, report)) if wanted and _has_any(engine) else []
    files = {f"{picture.row:06}.png": (picture, content) for picture, content in found}
    current = ownership.together((name, picture.sha256) for name, (picture, _) in files.items())
    if files or known:
        folder.mkdir(parents=True, exist_ok=True)
        ownership.write(folder, ownership.together([*ownership.items(known), *ownership.items(current)]), FOLDER)
        for name, (_, content) in files.items():
            with replacing(folder / name) as temporary:
                temporary.write_bytes(content)
        ownership.remove(folder, known, keep=files)
        ownership.write(folder, current, FOLDER)
    return [picture.model_copy(update={"path": str(folder / name)}) for name, (picture, _) in files.items()]


def _has_any(engine: Engine) -> bool:
    data = engine.data
    masks = data.task == "segmentation" and is_dense(data)
    classes = data.targets.classes and data.task == "single-label"
    return data.labelled and len(data.inputs) == 1 and data.input.kind == "image" and (masks or classes)


def _pictures(engine: Engine, report: Report) -> Iterator[tuple[Picture, bytes]]:
    """Yield the pictures of the examples that the last result gets wrong, with the content of their files."""
    outputs = _outputs(engine, report)
    y = engine.data["test"].y[:]
    draw, most = (_masks, MOST_MASKS) if engine.data.task == "segmentation" else (_classes, MOST)
    yield from draw(engine, outputs, y, most)


def _outputs(engine: Engine, report: Report) -> dict[str, np.ndarray]:
    """Return stage → its outputs for the test split: of the starting model, the last float model and the result."""
    files = {stage.name: file for stage in report.stages if (file := host_file(stage, report.machine))}
    result = report.stages[-1].name
    floats = [name for name, file in files.items() if file.precision == "float32" and name != result]
    wanted = dict.fromkeys(filter(None, [report.reference, *floats[-1:], result]))
    return {name: _stored(engine, name, files[name]) for name in wanted if name in files}


def _stored(engine: Engine, name: str, file: ModelFile) -> np.ndarray:
    stored: np.ndarray = np.load(engine.results[name].entry.folder / f"{file.precision}.npy")
    return stored


def _classes(
    engine: Engine, outputs: dict[str, np.ndarray], y: np.ndarray, most: int
) -> Iterator[tuple[Picture, bytes]]:
    """Yield wrongly classified examples: first those whose likelihood fell most from the starting model's."""
    labels = engine.data.labels
    shares = {name: _softmax(logits) for name, logits in outputs.items()}
    first, *_, last = shares.values()
    rows = np.arange(len(y))
    fell = np.log(first[rows, y] + 1e-9) - np.log(last[rows, y] + 1e-9)
    wrong = np.flatnonzero(last.argmax(1) != y)
    for row in wrong[np.argsort(-fell[wrong], kind="stable")][:most]:
        words = {name: f"{labels[share[row].argmax()]} {share[row].max():.0%}" for name, share in shares.items()}
        content = _png(_image(engine.data["test"].x[np.array([row])][0]))
        yield _picture(int(row), labels[y[row]], words, [], content), content


def _masks(engine: Engine, outputs: dict[str, np.ndarray], y: np.ndarray, most: int) -> Iterator[tuple[Picture, bytes]]:
    """Yield the examples with the largest share of wrong pixels: picture, target and the masks of each model."""
    *_, last = outputs.values()
    known = y != VOID
    wrong = ((last != y) & known).sum((1, 2)) / np.maximum(known.sum((1, 2)), 1)
    for row in np.argsort(-wrong, kind="stable")[:most]:
        masks = [_coloured(mask[row]) for mask in (y, *outputs.values())]
        panels = [_image(engine.data["test"].x[np.array([row])][0]), *masks]
        counted = max(int(known[row].sum()), 1)
        words = {
            name: f"{((mask[row] != y[row]) & known[row]).sum() / counted:.1%} of pixels wrong"
            for name, mask in outputs.items()
        }
        content = _png(_beside(panels), COLOURS)
        yield _picture(int(row), "", words, ["picture", "target", *outputs], content), content


def _picture(row: int, label: str, outputs: dict[str, str], panels: list[str], content: bytes) -> Picture:
    sha256 = hashlib.sha256(content).hexdigest()
    return Picture(path="", sha256=sha256, row=row, label=label, outputs=outputs, panels=panels)


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits - logits.max(1, keepdims=True))
    shares: np.ndarray = exponents / exponents.sum(1, keepdims=True)
    return np.nan_to_num(shares)


def _image(raw: np.ndarray) -> Image.Image:
    """Return raw pixels (c, h, w) as a picture whose longer side has at most `SIDE` pixels; of 1 or 3 channels."""
    channels = raw if raw.shape[0] in (1, 3) else raw[:1]
    pixels = np.moveaxis(np.clip(channels, 0, 255).astype(np.uint8), 0, -1)
    return _small(
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB"), Image.Resampling.LANCZOS
    )


def _coloured(mask: np.ndarray) -> Image.Image:
    """Return a mask (h, w) with a colour for each class, and void in grey."""
    pixels = _PALETTE[mask.astype(np.int64) % len(_PALETTE)]
    pixels[mask == VOID] = 128
    return _small(Image.fromarray(pixels), Image.Resampling.NEAREST)


def _small(picture: Image.Image, how: Image.Resampling) -> Image.Image:
    scale = SIDE / max(picture.size)
    size = [max(1, round(side * scale)) for side in picture.size]
    return picture if scale >= 1 else picture.resize((size[0], size[1]), how)


def _beside(panels: list[Image.Image]) -> Image.Image:
    """Return the panels side by side, with a gap of two pixels."""
    width, height = panels[0].size
    strip = Image.new("RGB", (len(panels) * (width + 2) - 2, height), (255, 255, 255))
    for index, panel in enumerate(panels):
        strip.paste(panel.resize((width, height), Image.Resampling.NEAREST), (index * (width + 2), 0))
    return strip


def _png(picture: Image.Image, colours: int = 0) -> bytes:
    content = io.BytesIO()
    (picture.quantize(colours) if colours else picture).save(content, "PNG", optimize=True)
    return content.getvalue()
