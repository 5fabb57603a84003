"""Do ONNX files that nobody made for edgepress go through `onnx-only`? Those in two packages of PyPI, each by itself.

`make bench-foreign` installs both and writes foreign.json. The text-direction classifier is scored on lines of text,
half of them upside down, with the preprocessing of its own package, and judged. The others tell no classes: what is
scored is the error against the answers of the file as it came.
"""

from __future__ import annotations

import importlib.util
import io
import json
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from edgepress.core.errors import UserError
from edgepress.core.results import Report
from edgepress.data.dataset import Dataset, Input, Split
from edgepress.data.text import VOCABULARY
from edgepress.engine import run
from edgepress.stage import MAIN_FILE
from PIL import Image, ImageDraw, ImageFont

from tests.bench import results

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
    """A file in a package, and how `load` takes it; `shape` is of one example of its first input."""

    package: str
    file: str
    shape: tuple[int, ...]
    shapes: dict[str, list[int]] = field(default_factory=dict)
    constants: dict[str, float] = field(default_factory=dict)
    output: str | None = None

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


OCR, VAD = "rapidocr_onnxruntime", "silero_vad"
WINDOW, STATES = {"input": [1, 576]}, {"state": [2, 1, 128]}
RATE = {"sr": 16000}
CASES = {
    "direction": Case(OCR, "models/ch_ppocr_mobile_v2.0_cls_infer.onnx", (3, 48, 192), {"x": [1, 3, 48, 192]}),
    "detection": Case(OCR, "models/ch_PP-OCRv4_det_infer.onnx", (3, 64, 96), {"x": [1, 3, 64, 96]}),
    "recognition": Case(OCR, "models/ch_PP-OCRv4_rec_infer.onnx", (3, 48, 48), {"x": [1, 3, 48, 48]}),
    "vad": Case(VAD, "data/silero_vad.onnx", (576,), WINDOW | STATES, STATE | RATE, "output"),
    "vad op15": Case(VAD, "data/silero_vad_16k_op15.onnx", (576,), WINDOW | STATES, STATE | RATE, "output"),
    "vad sequence": Case(VAD, "data/silero_vad_16k_sequence.onnx", (576,), WINDOW, {"h": 0, "c": 0}, "speech_probs"),
    "vad half": Case(VAD, "data/silero_vad_half.onnx", (576,), WINDOW | STATES, STATE, "output"),
    "vad ifless": Case(VAD, "data/silero_vad_op18_ifless.onnx", (576,), WINDOW | STATES, STATE | RATE, "output"),
    "vad openvino": Case(VAD, "data/silero_vad_openvino_16k.onnx", (576,), {}, STATE, "output"),
}  # fmt: skip


def main() -> None:
    lines(FOLDER / "lines")
    (FOLDER / "reader.yaml").write_text(json.dumps(TARGET), encoding="utf-8")
    found = {name: _tried(name, case) for name, case in CASES.items()}
    print(results.write("foreign", "make bench-foreign", {"files": found, "lines": LINES, "examples": EXAMPLES}))


def lines(folder: Path, count: int = LINES) -> None:
    """`count` lines of text, drawn in Pillow's own font; those in `180` are upside down.

    Each is at least four times as wide as high, so that rapidocr, as `resize: squash`, fills its 48 × 192 with it.
    """
    if folder.is_dir():
        return
    random = np.random.default_rng(0)
    words = _words()
    for number in range(count):
        label = ("0", "180")[number % 2]
        place = folder / label
        place.mkdir(parents=True, exist_ok=True)
        picture = line(words, random)
        picture.rotate(180 if label == "180" else 0).save(place / f"{number:04}.png")


def line(words: list[str], random: np.random.Generator) -> Image.Image:
    """Some words in a colour and size of their own on uneven, noisy paper."""
    size = int(random.integers(14, 40))
    font = ImageFont.load_default(size)
    text = " ".join(random.choice(words, int(random.integers(3, 6))))
    left, top, right, bottom = font.getbbox(text)
    margin = random.integers(1, size // 3 + 2, 4)
    high = int(bottom - top + margin[0] + margin[1])
    wide = max(int(right - left + margin[2] + margin[3]), 4 * high)
    paper = random.uniform(0, 255, 3)
    ink = (paper + random.uniform(90, 165, 3)) % 256
    light = Image.fromarray(random.integers(0, 256, (3, 6), dtype=np.uint8)).resize((wide, high), 3)
    ground = paper + 0.15 * (np.asarray(light, np.float32)[..., None] - 128)
    page = Image.new("L", (wide, high))
    ImageDraw.Draw(page).text((int(margin[2]) - left, int(margin[0]) - top), text, 255, font)
    cover = np.asarray(page, np.float32)[..., None] / 255
    drawn = cover * ink + (1 - cover) * ground + random.normal(0, 6, (high, wide, 3))
    return Image.fromarray(np.clip(np.round(drawn), 0, 255).astype(np.uint8))


def answered(case: str) -> Dataset:
    """What a file is asked, and what it answers as it came: a regression (n, answers). Recipes name this function."""
    given, random = CASES[case], np.random.default_rng(0)
    if len(given.shape) == 3:
        side = given.shape[:0:-1]
        words = _words()
        x = np.stack([np.asarray(line(words, random).resize(side)).transpose(2, 0, 1) for _ in range(EXAMPLES)])
        input = Input("input", "image", given.shape, 1 / 255, tuple(CENTRE["mean"]), tuple(CENTRE["std"]))
    else:
        x = np.stack([voice(given.shape[0], random) for _ in range(EXAMPLES)])
        input = Input("input", "numbers", given.shape, 1.0, (0.0,), (1.0,))
    session = onnxruntime.InferenceSession(str(given.path), providers=["CPUExecutionProvider"])
    first = session.get_inputs()[0].name
    rest = {each.name: each for each in session.get_inputs() if each.name in given.constants}
    fixed = {
        name: np.full(
            given.shapes.get(name) or [n for n in each.shape if isinstance(n, int)],
            given.constants[name],
            {"tensor(int64)": np.int64}.get(each.type, np.float32),
        )
        for name, each in rest.items()
    }  # fmt: skip
    y = np.stack([session.run(None, {first: row[None], **fixed})[0].ravel() for row in input.to_model_inputs(x)])
    y = y.astype(np.float32)
    cuts = {"train": slice(0, 24), "validation": slice(24, 84), "test": slice(84, None)}
    splits = {name: Split(x[cut], y[cut]) for name, cut in cuts.items()}
    return Dataset(case, tuple(f"y{n}" for n in range(y.shape[1])), splits, (input,), "regression")


def voice(length: int, random: np.random.Generator, rate: int = 16000) -> np.ndarray:
    """A window of a vowel, three formants over a buzz (Klatt, 1980), louder or softer in noise; or of noise alone."""
    time = np.arange(length) / rate
    pitch = random.uniform(90, 250)
    sound = np.zeros(length)
    for formant, width in zip(random.uniform([300, 900, 2200], [900, 2200, 3200]), (90, 110, 170), strict=True):
        for harmonic in np.arange(pitch, 4000, pitch):
            sound += np.sin(2 * np.pi * harmonic * time) / (1 + ((harmonic - formant) / width) ** 2)
    sound *= random.uniform(0, 0.5) / np.abs(sound).max() * random.integers(0, 2)
    found: np.ndarray = (sound + random.normal(0, random.uniform(0.001, 0.05), length)).astype(np.float32)
    return found


def _words() -> list[str]:
    """What people write about: the frequent words of dictionary definitions, some of them with a capital."""
    words = [each for each in json.loads(VOCABULARY.read_text("utf-8"))["words"] if 3 <= len(each) <= 9]
    return [each.capitalize() if number % 3 == 0 else each for number, each in enumerate(words)]


def _tried(name: str, case: Case) -> dict[str, Any]:
    """What became of one file: as ONNX, and as TFLite too."""
    found: dict[str, Any] = {"file": f"{case.package}/{case.file}"}
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
    int8 = {"use": "quantize.static", "name": "int8", "samples": 240}
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
