"""What distilling gains a detector, and what int8 of ours and of others costs it, in mean average precision.

`make bench-detect` writes detect.json; it goes on after an interruption, by part and by row. Scores are those of the
1,000 test pictures of `clutter`, or of scenes for the small YOLO, which decide nothing. `distill`: the student of the
recipe `detect`, distilled and from labels alone, for as many steps as the float detectors below, as the recipe goes on
after pruning; with all labels, and with a quarter of them and the other pictures without any; two at a time, one thread
each. `int8`: on the same float files ours with labels and without any, and others in `.venv-peers`, all on 256
validation pictures. A drop is paired: the same pictures are drawn for both files.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from edgepress.core import intervals, yamlio
from edgepress.core.columns import joined
from edgepress.core.metrics import METRICS
from edgepress.core.paths import digest
from edgepress.core.runtimes import RUNTIMES
from edgepress.data.dataset import Dataset
from edgepress.models.metadata import read, to_logits, to_model_inputs
from edgepress.models.session import run_file
from edgepress.stages.quantize.division import divided

from tests.bench import results
from tests.bench.distill import CACHE, gain, ran
from tests.bench.quant import Refused, _asked
from tests.tasks.tiny_yolo import exported, scenes, trained

FOLDER = CACHE / "bench-detect"
RECIPE = Path("recipes/detect.yaml")
SAMPLES = 256
PICTURES, SEEDS = 1_600, {1_600: 8, 400: 5}
"""Pictures to train on, and seeds by how many of them have labels."""
METRIC = METRICS["map"].of_task["detection"]
TASK = {"data": "clutter", "metric": "map", "seed": 0}
TRAIN = {"epochs": 20, "batch": 32, "lr": 0.01, "shift": 4}
SCENES, SIDE = {"train": 64, "validation": 512, "test": 1000}, 96
"""Pictures of the small YOLO, which is trained on others."""
Made = tuple[dict[str, Any], list[dict[str, Any]]]
"""The task of a recipe, and stages of which the last makes the file `float`."""


def _trained(model: dict[str, Any]) -> Made:
    """Train on labels alone."""
    return TASK, [{"use": "train", "name": "net", "model": model, **TRAIN}, {"use": "export.onnx", "name": "float"}]


def _yolo(file: str, decode: dict[str, Any]) -> Made:
    folder = FOLDER / "yolo"
    if not (folder / "yolo-raw.onnx").is_file():  # the last that is written
        net, count = trained(SIDE), sum(SCENES.values())
        folder.mkdir(parents=True, exist_ok=True)
        x, boxes = scenes(count, SIDE, 1)
        of, part = np.repeat(np.arange(count), [*map(len, boxes)]), np.repeat([*SCENES], [*SCENES.values()])
        np.savez(folder / "scenes.npz", x=x, y=np.concatenate(boxes), of=of, part=part)
        (folder / "my_data.py").write_text(READER, encoding="utf-8")
        for name, raw in (("yolo.onnx", False), ("yolo-raw.onnx", True)):
            exported(net, folder / name, raw=raw, size=SIDE)
    data = {"from": f"{folder.resolve()}/my_data.py:load", "task": "detection", "normalize": "none"}
    load = {"use": "load", "name": "float", "from": str((folder / file).resolve()), **decode}
    return {"data": data, "metric": "map", "seed": 0}, [load]


READER = """\
from pathlib import Path

import numpy as np
from edgepress import Examples


def load():
    kept = np.load(Path(__file__).with_name("scenes.npz"))
    boxes = [kept["y"][kept["of"] == row] for row in range(len(kept["x"]))]
    return Examples(kept["x"], boxes, ("circle", "square"), task="detection", part=kept["part"])
"""
RAW = {
    "decode": {
        "coding": "dfl", "boxes": ["box3", "box4", "box5"], "scores": ["cls3", "cls4", "cls5"], "strides": [8, 16, 32],
    }
}  # fmt: skip
FLOATS: dict[str, Callable[[], Made]] = {
    "FCOS on MobileNetV3, ReLU": lambda: _trained({"arch": "timm/tf_mobilenetv3_small_minimal_100", "head": "fcos"}),
    "SSDLite on MobileNetV3, HardSwish": lambda: _trained({"arch": "timm/mobilenetv3_small_100"}),
    "YOLO with SiLU and DFL, one output": lambda: _yolo("yolo.onnx", {}),
    "YOLO with SiLU and DFL, raw heads": lambda: _yolo("yolo-raw.onnx", RAW),
}
"""The float detectors."""
CONTROL = {"preset": "mixed", "per_tensor": True, "max_drop": 0.005, "metric": "map"}
"""NNCF's accuracy control, by half a point of mAP; it names operators itself."""
PEERS: dict[str, tuple[str, dict[str, Any]]] = {
    "onnxruntime": ("ort", {}),
    "onnxruntime, per channel": ("ort", {"per_channel": True, "activations": "QUInt8"}),
    "onnxruntime, percentiles": ("ort", {"per_channel": True, "activations": "QUInt8", "ranges": "Percentile"}),
    "NNCF": ("nncf", {}),
    "NNCF, accuracy control": ("nncf", CONTROL),
    "litert-torch": ("litert", {"integers": True, "heads": True}),
}
"""The last one takes torch modules alone, as which the YOLO does not come."""


def repetition(labels: int, seed: int) -> dict[str, float]:
    """Return mAP in points of teacher, plain and distilled student, on the test split; both take as many steps."""
    teacher, student = yamlio.read(RECIPE).data["stages"][:2]
    task, way = TASK, TRAIN | {"seed": seed}
    plain = {"use": "train", "name": "plain", "model": student["student"], **way}
    if labels < PICTURES:
        task, plain = TASK | {"labels": labels}, plain | {"epochs": TRAIN["epochs"] * PICTURES // labels}
    engine = ran(f"detect-{labels}-{seed}", task, [teacher, plain, {**student, "name": "distilled", **way}])
    return {name: 100 * each.facts.files[0].scores["test"]["map"] for name, each in engine.results.items()}


def unlabelled(data: Dataset, task: dict[str, Any]) -> dict[str, Any]:
    """The pictures alone, as the data of a recipe."""
    path = FOLDER / f"pictures-{data.digest[:16]}.npz"
    if not path.is_file():
        np.savez(path, x=np.concatenate([data[split].x[:] for split in ("validation", "train")]))
    normalize = {"normalize": "none"} if isinstance(task["data"], dict) else {}
    return {"from": str(path.resolve()), "labels": "none", **normalize}


def rows(name: str) -> list[dict[str, Any]]:
    """Return what each way makes of a float detector."""
    task, stages = FLOATS[name]()
    engine = ran("detect-float", task, stages)
    data, file = engine.data, engine.results["float"].artifact.path.resolve()
    folder = FOLDER / digest(file)[:16]
    folder.mkdir(parents=True, exist_ok=True)
    whole = scored(file, file, data, folder)
    found = [{"way": "float", "map": 100 * METRIC.value(whole), "bytes": file.stat().st_size}]
    load = (
        {**stages[-1], "from": str(file)} if len(stages) == 1 else {"use": "load", "name": "float", "from": str(file)}
    )
    int8 = {"use": "quantize.static", "name": "int8", "samples": SAMPLES}
    alone = {"data": unlabelled(data, task), "metric": "agreement"}
    for way, of in (("edgepress", task), ("edgepress, no labels", alone)):
        started = time.monotonic()
        quantized = ran("detect-int8", of, [load, int8]).results["int8"]
        timing = folder / f"{way}.seconds"
        if not quantized.facts.cached or not timing.is_file():
            timing.write_text(f"{time.monotonic() - started:.1f}", encoding="utf-8")
        path = Path(next(each.path for each in quantized.facts.files if each.precision != "xnnpack"))
        found.append(row(way, path, file, whole, data, folder) | {"seconds": float(timing.read_text())})
    network = engine.results["net"].artifact.path.resolve() if "net" in engine.results else None
    for way, (peer, options) in PEERS.items():
        if peer == "litert" and network is None:
            continue
        try:
            path = of_peer(peer, options, network if peer == "litert" else file, data, task, folder, file)
            found.append(row(way, path, file, whole, data, folder)
                         | {"seconds": float(path.with_suffix(".seconds").read_text())})  # fmt: skip
        except Refused as error:
            found.append({"way": way, "refused": str(error)})
    return found


def of_peer(
    peer: str, options: dict[str, Any], source: Path, data: Dataset, task: dict[str, Any], folder: Path, described: Path
) -> Path:
    """Return the file that a peer makes of `source`, whose inputs `described` has. Raises: Refused."""
    key = hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:8]
    out, seen = folder / f"{peer}-{key}{'.tflite' if peer == 'litert' else '.onnx'}", folder / "calibration.npz"
    if out.is_file():
        return out
    if not seen.is_file():
        chosen, _ = divided(len(data["validation"].y), SAMPLES)
        np.savez(seen, *to_model_inputs(read(described), data, data["validation"].x[chosen]))
    partly = out.with_stem(f"{out.stem}-partly")
    paths = {"source": source, "calibration": seen, "out": partly}
    options = options | {"data": task["data"]} if "metric" in options else options
    done = _asked(peer, {**{name: str(path.resolve()) for name, path in paths.items()}, "options": options})
    if done.returncode:
        raise Refused(done.stderr.strip().splitlines()[-1][:300])
    partly.with_suffix(".seconds").rename(out.with_suffix(".seconds"))
    return partly.rename(out)


def scored(file: Path, source: Path, data: Dataset, folder: Path) -> Any:
    """Return the parts of the metric of a file on the test pictures; outputs are decoded as `source` describes them."""
    kept = folder / f"{digest(file)[:16]}.npy"
    if not kept.is_file():
        contract = read(source)
        columns = to_model_inputs(contract, data, data["test"].x)
        if file.suffix == ".tflite":  # litert-torch's, channels last; its outputs are in order
            found = run_file(RUNTIMES["litert"].loader, str(file), [np.moveaxis(each, 1, -1) for each in columns])
            outputs = dict(zip((each["name"] for each in contract["outputs"]), found.values(), strict=True))
        else:
            outputs = run_file(RUNTIMES["onnxruntime"].loader, str(file), columns)
        np.save(kept, to_logits(joined(outputs), contract, data))
    return METRIC.collected(np.load(kept), data["test"].y[:])


def row(way: str, file: Path, source: Path, whole: Any, data: Dataset, folder: Path) -> dict[str, Any]:
    """Return mAP in points, and what is lost of the float file's, with its 95% interval."""
    parts = scored(file, source, data, folder)
    lost = 100 * (METRIC.value(whole) - METRIC.value(parts))
    count = min(len(draws := METRIC.draws(whole)), len(others := METRIC.draws(parts)))
    low, high = intervals.percentiles(lost, 100 * (np.array(draws[:count]) - np.array(others[:count])))
    found = {"way": way, "map": 100 * METRIC.value(parts), "lost": lost, "low": low, "high": high}
    return found | {"bytes": file.stat().st_size}


def main() -> None:
    if len(sys.argv) == 4:  # a repetition, for its results to come into the cache
        print(sys.argv[1:], repetition(*map(int, sys.argv[2:])), flush=True)
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[1:] or ["distill", "int8"]
    path = results.FOLDER / "detect.json"
    found = {
        name: part for name in ("distill", "int8") if path.is_file() and (part := results.read("detect").get(name))
    }
    if "distill" in wanted:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}

        def run(job: tuple[int, int]) -> None:
            command = [sys.executable, "-m", "tests.bench.detect", "distill", *map(str, job)]
            subprocess.run(command, env=environment, check=True)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(run, [(labels, seed) for labels, count in SEEDS.items() for seed in range(count)]))
        torch.set_num_threads(1)
        found["distill"] = {}
        for labels, count in SEEDS.items():
            scores = [repetition(labels, seed) for seed in range(count)]
            found["distill"][labels] = {"rows": scores, "gain": gain(scores, "distilled", "plain")}
        results.write("detect", "make bench-detect", found)
    if "int8" in wanted:
        for name in FLOATS:
            found["int8"] = found.get("int8", {}) | {name: rows(name)}
            results.write("detect", "make bench-detect", found)


if __name__ == "__main__":
    main()
