"""Write example pictures of a run, `runs/NAME/pictures/`: what the result gets wrong, the worst first.

Classes, masks and boxes have them, where the inputs are pictures. `run --no-pictures` writes none, and deletes those of
the last run. Files of somebody else in that folder stay; `SHA256SUMS` lists the run's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from ..core import ownership
from ..core.boxes import CLASS, SCORE, f1
from ..core.metric_functions import predicted
from ..core.metrics import VOID
from ..core.paths import replacing
from ..core.results import ModelFile, Picture, Report
from ..data.targets.boxes import CLASS as TARGET_CLASS
from ..data.targets.boxes import COUNTS
from ..gate.judge import host_file
from ..gate.lineage import last_float
from ..tasks.detection import SHOWN
from .dense import is_dense
from .engine import Engine
from .panels import COLOURS, beside, boxed, coloured, colours, image, png

Outputs = dict[str, np.ndarray]
"""Stage → what its file predicts for the test split."""
FOLDER = "pictures"
OTHER = "move it away, or choose another `--runs`"
MOST, MOST_SIDE_BY_SIDE = 12, 8


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
    dense = data.task in _DENSE and is_dense(data)
    classes = data.targets.classes and data.task == "single-label"
    return data.labelled and len(data.inputs) == 1 and data.input.kind == "image" and (dense or classes)


def _pictures(engine: Engine, report: Report) -> Iterator[tuple[Picture, bytes]]:
    """Yield the pictures of the examples that the last result gets wrong, with the content of their files."""
    outputs = _outputs(engine, report)
    y = engine.data["test"].y[:]
    yield from _DENSE.get(engine.data.task, _classes)(engine, outputs, y)


def _outputs(engine: Engine, report: Report) -> Outputs:
    """Return stage → its outputs for the test split: of the starting model, the last float model and the result."""
    files = {stage.name: file for stage in report.stages if (file := host_file(stage, report.machine))}
    result = report.stages[-1].name
    between = last_float(report, result)
    wanted = dict.fromkeys(filter(None, [report.reference, between.name if between else None, result]))
    return {name: _stored(engine, name, files[name]) for name in wanted if name in files}


def _stored(engine: Engine, name: str, file: ModelFile) -> np.ndarray:
    stored: np.ndarray = np.load(engine.results[name].entry.folder / f"{file.precision}.npy")
    return stored


def _classes(engine: Engine, outputs: Outputs, y: np.ndarray) -> Iterator[tuple[Picture, bytes]]:
    """Yield wrongly classified examples: first those whose likelihood fell most from the starting model's."""
    labels = engine.data.labels
    shares = {name: _softmax(logits) for name, logits in outputs.items()}
    first, last = (list(shares.values())[place] for place in (0, -1))  # one model alone is both
    rows = np.arange(len(y))
    fell = np.log(first[rows, y] + 1e-9) - np.log(last[rows, y] + 1e-9)
    wrong = np.flatnonzero(predicted(last) != y)
    for row in wrong[np.argsort(-fell[wrong], kind="stable")][:MOST]:
        words = {name: f"{labels[share[row].argmax()]} {share[row].max():.0%}" for name, share in shares.items()}
        content = png(image(engine.data["test"].x[np.array([row])][0]))
        yield _picture(int(row), labels[y[row]], words, content), content


def _masks(engine: Engine, outputs: Outputs, y: np.ndarray) -> Iterator[tuple[Picture, bytes]]:
    """Yield the examples with the largest share of wrong pixels: picture, target and the masks of each model."""
    *_, last = outputs.values()
    known = y != VOID
    wrong = ((last != y) & known).sum((1, 2)) / np.maximum(known.sum((1, 2)), 1)
    for row in np.argsort(-wrong, kind="stable")[:MOST_SIDE_BY_SIDE]:
        masks = [coloured(mask[row]) for mask in (y, *outputs.values())]
        panels = [image(engine.data["test"].x[np.array([row])][0]), *masks]
        counted = max(int(known[row].sum()), 1)
        words = {
            name: f"{((mask[row] != y[row]) & known[row]).sum() / counted:.1%} of pixels wrong"
            for name, mask in outputs.items()
        }
        content = png(beside(panels), COLOURS)
        legend = colours(engine.data.labels, np.concatenate([mask[row].ravel() for mask in (y, *outputs.values())]))
        yield _picture(int(row), "", words, content, ["picture", "target", *outputs], legend), content


def _boxes(engine: Engine, outputs: Outputs, y: np.ndarray) -> Iterator[tuple[Picture, bytes]]:
    """Yield the examples of the lowest F1 of boxes: picture with the target's boxes, and with those of each model.

    Boxes of at least the score `SHOWN` are drawn and count. Those of the target that do not count are left out.
    """
    labels = engine.data.labels
    targets = y.astype(np.float32)
    targets[..., CLASS] = np.where(y[..., COUNTS] > 0, y[..., TARGET_CLASS], -1)
    targets[..., SCORE] = 1
    shown = {name: np.where((rows[..., SCORE] >= SHOWN)[..., None], rows, -1) for name, rows in outputs.items()}
    *_, last = shown.values()
    alike = np.array([f1(last[[row]], targets[[row]], SHOWN) for row in range(len(y))])
    for row in np.argsort(alike, kind="stable")[:MOST_SIDE_BY_SIDE]:
        raw, true = engine.data["test"].x[np.array([row])][0], targets[row]
        panels = [boxed(raw, boxes[row]) for boxes in (targets, *shown.values())]
        words = {name: _found(boxes[[row]], targets[[row]]) for name, boxes in shown.items()}
        names = ", ".join(dict.fromkeys(labels[int(label)] for label in true[true[:, CLASS] >= 0, CLASS]))
        content = png(beside(panels), COLOURS)
        legend = colours(labels, np.concatenate([boxes[row][:, CLASS] for boxes in (targets, *shown.values())]))
        yield _picture(int(row), names, words, content, ["target", *outputs], legend), content


def _found(boxes: np.ndarray, targets: np.ndarray) -> str:
    """Return `2 of 3 boxes found, 1 that is none`."""
    mine, true = (int((rows[..., CLASS] >= 0).sum()) for rows in (boxes, targets))
    right = round(f1(boxes, targets, SHOWN) * (mine + true) / 2) if mine + true else 0
    many = f", {mine - right} that {'are' if mine - right > 1 else 'is'} none" if mine > right else ""
    return f"{right} of {true} boxes found{many}"


_DENSE: dict[str, Callable[[Engine, Outputs, np.ndarray], Iterator[tuple[Picture, bytes]]]] = {
    "segmentation": _masks,
    "detection": _boxes,
}


def _picture(
    row: int,
    label: str,
    outputs: dict[str, str],
    content: bytes,
    panels: Sequence[str] = (),
    legend: Mapping[str, str] = MappingProxyType({}),
) -> Picture:
    sha256 = hashlib.sha256(content).hexdigest()
    return Picture(
        path="", sha256=sha256, row=row, label=label, outputs=outputs, panels=list(panels), colours=dict(legend)
    )


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits - logits.max(1, keepdims=True))
    shares: np.ndarray = exponents / exponents.sum(1, keepdims=True)
    return np.nan_to_num(shares)
