"""What our int8 and that of others lose on the same float models, data and machine, and what each saves.

`make bench-quant` writes quant.json. Peers run in `.venv-peers`; their files stay in the cache, by the float model's
digest, so only what is ours is made anew when it changes. A peer's best setting is the one that is right most often on
the validation split. Without labels (EfficientNet-Lite0 without `IMAGES=path`) right is what the float model says.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from edgepress.benchmark import statistics
from edgepress.benchmark.paired import Model, measure
from edgepress.core.columns import flat
from edgepress.core.paths import digest
from edgepress.core.runtimes import RUNTIMES, of_file
from edgepress.data.dataset import Dataset
from edgepress.gate import scores
from edgepress.models.metadata import read, to_model_inputs
from edgepress.models.predict import predict
from edgepress.models.session import run_file
from edgepress.stages.quantize.division import divided
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, NotImplemented

from tests.bench import results
from tests.bench.quant_models import CASES, FOLDER, Case
from tests.bench.quant_settings import METHODS, PYTHON, PYTHONS, Method, Options, versions

SAMPLES = 256
"""Calibration images: the default of `quantize.static`, and the very rows that it takes."""
CONTROLLED = 1000
"""Validation images by which NNCF controls accuracy."""
ROOT = Path(__file__).resolve().parents[2]
PROCESSES = (8,)
LIMIT = 1200
"""Seconds that a peer may take for a setting."""

EXPORT = {"use": "export.onnx", "name": "float", "input": "net"}
PLAIN = {"use": "convert.tflite", "name": "float-tflite", "input": "float"}
INT8 = {"use": "quantize.static", "name": "int8", "input": "float"}
CONVERT = {"use": "convert.tflite", "name": "int8-tflite", "input": "int8"}


class Refused(Exception):
    """A peer, or the runtime on its file, said no; the message is its last line."""


@dataclass(frozen=True)
class Subject:
    """A float model with its data, and what is known about files made from it."""

    case: Case
    data: Dataset
    seen: np.ndarray
    """Rows of the validation split that everybody's ranges come from."""
    module: Path
    onnx: Path
    tflite: Path
    folder: Path

    @classmethod
    def of(cls, name: str) -> Subject:
        case = CASES[name]
        engine = case.run(name, [EXPORT, PLAIN])
        net, exported, plain = (engine.results[each].artifact.path for each in ("net", "float", "float-tflite"))
        seen, _ = divided(len(engine.data["validation"].y), SAMPLES)
        key = hashlib.sha256((digest(exported) + engine.data.digest + str(seen.tolist())).encode()).hexdigest()[:16]
        folder = FOLDER / f"{name}-{key}"
        folder.mkdir(parents=True, exist_ok=True)
        return cls(case, engine.data, seen, net, exported, plain, folder)

    @cached_property
    def inputs(self) -> dict[str, tuple[np.ndarray, ...]]:
        contract = read(self.onnx)
        return {split: to_model_inputs(contract, self.data, self.data[split].x) for split in ("validation", "test")}

    @cached_property
    def right(self) -> dict[str, np.ndarray]:
        """Labels, or what the float model tells where there are none."""
        if self.data.labelled:
            return {split: self.data[split].y for split in ("validation", "test")}
        return {split: self.told(self.onnx, split).argmax(1) for split in ("validation", "test")}

    def told(self, file: Path, split: str) -> np.ndarray:
        """Logits of a file for a split, kept by its digest. Raises: Refused."""
        kept = self.folder / f"{digest(file)[:16]}-{split}.npy"
        if kept.is_file():
            return np.load(kept)
        columns = self.inputs[split]
        ours = file.parent != self.folder  # these say how they are laid out, and for which kernels they are
        if not ours and file.suffix == ".tflite" and self.data.inputs[0].kind == "image":
            columns = tuple(np.moveaxis(each, 1, -1) for each in columns)
        try:
            loader = RUNTIMES[of_file(file)].loader
            found = predict(file, columns) if ours else next(iter(run_file(loader, str(file), columns).values()))
            found = flat(found)
        except (Fail, InvalidGraph, NotImplemented) as error:
            raise Refused(f"onnxruntime: {str(error).partition('Status Message: ')[2] or error}") from error
        np.save(kept, found)
        return found

    def correct(self, file: Path, split: str) -> np.ndarray:
        return self.told(file, split).argmax(1) == self.right[split]

    def sqnr(self, file: Path, split: str) -> float:
        """dB of the float model's logits over their error."""
        exact = self.told(self.onnx, split).astype(float)
        error = self.told(file, split) - exact
        return float(10 * np.log10((exact**2).sum() / max((error**2).sum(), 1e-30)))

    @cached_property
    def calibration(self) -> Path:
        path = self.folder / "calibration.npz"
        if not path.is_file():
            np.savez(path, *(each[self.seen] for each in self.inputs["validation"]))
        return path

    @cached_property
    def validation(self) -> Path:
        path = self.folder / "validation.npz"
        if not path.is_file():
            columns = (each[:CONTROLLED] for each in self.inputs["validation"])
            np.savez(path, *columns, self.right["validation"][:CONTROLLED])
        return path

    def made(self, peer: str, options: Options) -> Path:
        """The file that a peer makes of this model. Raises: Refused."""
        if peer == "ort" and self.data.inputs[0].shape[-1] >= 128 and options.get("ranges", "MinMax") != "MinMax":
            # Its histograms keep every activation of every example: 17 GB for 256 of this size.
            stride = next(each for each in range(20, 0, -1) if len(self.seen) % each == 0)
            options = options | {"extra": options.get("extra", {}) | {"CalibStridedMinMax": stride}}
        key = hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:8]
        out = self.folder / f"{peer}-{key}{'.tflite' if peer == 'litert' else '.onnx'}"
        refusal = out.with_suffix(".refused")
        if refusal.is_file():
            raise Refused(refusal.read_text(encoding="utf-8"))
        if not out.is_file():
            if "max_drop" in options:
                options = options | {"validation": str(self.validation.resolve())}
            source = self.module if peer == "litert" else self.onnx
            partly = out.with_stem(f"{out.stem}-partly")
            paths = {"source": source, "calibration": self.calibration, "out": partly}
            job = {**{name: str(path.resolve()) for name, path in paths.items()}, "options": options}
            done = _asked(peer, job)
            if done.returncode:
                refusal.write_text(done.stderr.strip().splitlines()[-1][:300], encoding="utf-8")
                raise Refused(refusal.read_text(encoding="utf-8"))
            partly.with_suffix(".seconds").rename(out.with_suffix(".seconds"))
            partly.rename(out)
        return out


def _asked(peer: str, job: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    # NNCF_CI: it does not call home. The environments see the packages of .venv, but not this one, which is editable.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "NNCF_CI": "1", "PYTHONPATH": f"{ROOT / 'pipeline'}:{ROOT}"}
    command = [str(ROOT / PYTHONS.get(peer, PYTHON)), "-m", f"tests.bench.peers.{peer}"]
    given = json.dumps(job)
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        return subprocess.run(
            command,
            input=given,
            text=True,
            capture_output=True,
            env=environment,
            check=False,
            timeout=LIMIT,
            cwd=FOLDER,  # some leave files where they run
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"not done after {LIMIT // 60} minutes")


@dataclass
class Row:
    """A file and where it comes from, or why there is none."""

    method: str
    file: Path | None = None
    options: Options = field(default_factory=dict)
    refused: str = ""
    seconds: float | None = None
    """What quantizing took, without the start of the process."""


def theirs(subject: Subject) -> list[Row]:
    return [best(subject, method) for method in METHODS]


def best(subject: Subject, method: Method) -> Row:
    """Of all settings the one that is right most often on the validation split, then the one of least error."""
    rows = [_row(subject, method, options) for options in method.grid]
    made = [row for row in rows if row.file]
    return max(made or rows[:1], key=lambda row: _worth(subject, row.file) if row.file else (0, 0.0))


def _row(subject: Subject, method: Method, options: Options) -> Row:
    try:
        file = subject.made(method.peer, options)
        subject.told(file, "validation")
    except Refused as error:
        return Row(method.name, None, options, str(error))
    seconds = float(file.with_suffix(".seconds").read_text(encoding="utf-8"))
    row = Row(method.name, file, options, seconds=seconds)
    print(method.name, options, f"{seconds:.0f} s", _worth(subject, file), flush=True)
    return row


def _worth(subject: Subject, file: Path) -> tuple[int, float]:
    return int(subject.correct(file, "validation").sum()), subject.sqnr(file, "validation")


def ours(name: str) -> list[Row]:
    """Every file of the stages `quantize.static` and `convert.tflite` with their default options."""
    engine = CASES[name].run(name, [EXPORT, INT8, CONVERT])
    int8, tflite = (engine.results[each] for each in ("int8", "int8-tflite"))
    clock = FOLDER / f"{name}-{int8.entry.folder.name[:16]}.seconds"
    if not int8.facts.cached:
        clock.write_text(f"{int8.facts.seconds:.1f}", encoding="utf-8")
    seconds = float(clock.read_text(encoding="utf-8")) if clock.is_file() else None
    presets = int8.artifact.presets
    rows = [Row(f"edgepress {preset}", int8.artifact.preset(preset), seconds=seconds) for preset in presets]
    return [*rows, Row("edgepress tflite", tflite.artifact.path, seconds=seconds)]


def judged(subject: Subject, rows: list[Row]) -> list[dict[str, Any]]:
    """Size, error, what is lost of the test images with its paired 95% interval, and time beside float."""
    exact = {".onnx": subject.onnx, ".tflite": subject.tflite}
    floats = [Row("float", subject.onnx), Row("float tflite", subject.tflite)]
    timed = times([*floats, *(row for row in rows if row.file)])
    before = _marks(subject.correct(subject.onnx, "test"))
    found: list[dict[str, Any]] = []
    for row in [*floats, *rows]:
        if row.file is None:
            found.append({"method": row.method, "options": row.options, "refused": row.refused})
            continue
        drop = scores.accuracy_drop(before, _marks(subject.correct(row.file, "test")), 0)
        told = subject.told(row.file, "test").argmax(1)
        found.append({
            "method": row.method, "options": row.options, "bytes": row.file.stat().st_size,
            "bytes_of_float": exact[row.file.suffix].stat().st_size, "sqnr": round(subject.sqnr(row.file, "test"), 2),
            "accuracy": float(subject.correct(row.file, "test").mean()), "drop": drop.value, "interval": drop.interval,
            "seconds": row.seconds,
            "agreement": float((told == subject.told(subject.onnx, "test").argmax(1)).mean()), **timed[row.method],
        })  # fmt: skip
        if row.method == "edgepress tflite":
            twins = [each for each in rows if each.method.startswith("edgepress") and each is not row and each.file]
            found[-1]["as_onnx"] = {
                each.method: float((told == subject.told(each.file, "test").argmax(1)).mean()) for each in twins
            }
    return found


def _marks(right: np.ndarray) -> str:
    return "".join("1" if each else "0" for each in right)


def times(rows: list[Row]) -> dict[str, dict[str, Any]]:
    """Milliseconds on one thread by method, and the ratio to the float file of the same runtime with its interval."""
    runtimes = {".onnx": "onnxruntime", ".tflite": "litert"}
    models = [Model(row.method, row.file, runtimes[row.file.suffix]) for row in rows if row.file]
    found = {each.path: each for each in measure(models, looks=PROCESSES)}
    floats = {"onnxruntime": found["float"], "litert": found["float tflite"]}
    told = {}
    for name, each in found.items():
        ratio, interval = statistics.spread(statistics.log_ratios(each, floats[each.runtime]))
        middle, _ = statistics.spread(statistics.log_percentiles(each, 50))
        told[name] = {"ms": round(1000 * middle, 4), "ratio": round(ratio, 4), "ratio_interval": interval}
    return told


def main() -> None:
    for name in sys.argv[1:] or list(CASES):
        subject = Subject.of(name)
        rows = [*(theirs(subject) if subject.case.peers else []), *ours(name)]
        facts = {
            "title": subject.case.title, "peers": subject.case.peers, "labelled": subject.data.labelled,
            "images": len(subject.data["test"].y), "samples": len(subject.seen), "rows": judged(subject, rows),
            "date": date.today().isoformat(),
            "normalize": [{"mean": each.mean, "std": each.std} for each in subject.data.inputs],
        }  # fmt: skip
        earlier = results.read("quant")["models"] if (results.FOLDER / "quant.json").is_file() else {}
        models = {each: (earlier | {name: facts})[each] for each in CASES if each in {*earlier, name}}
        print(results.write("quant", "make bench-quant", {"models": models, "peers": versions()}), name, flush=True)


if __name__ == "__main__":
    main()
