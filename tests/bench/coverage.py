"""How far the smallest network of each of timm's modules comes: to ONNX, to int8, to TFLite, and with what answers.

`make bench-coverage` writes coverage.json; it goes on after an interruption, and does again only the steps whose code
has changed. Weights are random, with batch norms that have seen the images and no layer that does nothing; images are
64 px, or of the network's own size where that is fixed. Every network has a process of its own.
"""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from edgepress.core.errors import UserError
from edgepress.core.paths import replacing
from edgepress.models import metadata
from edgepress.models.onnx import export as onnxio
from edgepress.models.predict import predict
from edgepress.models.tflite import convert
from edgepress.stages.quantize import ptq

from tests.bench import results, segments
from tests.bench.networks import FOLDER, fresh, smallest

LARGEST = 10_000_000
RUNTIMES = ("litert", "tflite-runtime")
EXACT, STEPS, WITHIN = 1e-4, 2, 0.99
"""Float answers may differ from torch's by this share of the largest; this share of int8 answers by so many steps."""
SECONDS, MEMORY = 600, 12 << 30
"""What a network may take of processor time, and of addresses in bytes."""
TIMED = "mobilenetv2_100@224"
"""The network whose conversion is timed, with the pixels of its images."""
Found = dict[str, Any]


class Step(NamedTuple):
    """`code` are the files of the pipeline, and packages, that its result hangs on, besides those of steps before."""

    run: Callable[[str, Path], Found]
    after: tuple[str, ...]
    code: tuple[str, ...]


# Steps; each has the network's name and folder, and what the steps before left in it.


def export(name: str, folder: Path) -> Found:
    """float.onnx, the images as it takes them, and torch's answers to those of `test`."""
    import torch

    torch.set_num_threads(1)
    module, data = fresh(name)
    started = time.process_time()
    error = onnxio.export(module, data, folder / "float.onnx")
    seconds = time.process_time() - started
    (calibration,), (test,) = (data.to_model_inputs(data[split].x) for split in ("validation", "test"))
    with torch.inference_mode():
        answers = module(torch.from_numpy(test)).numpy()
    spread = float(np.abs(answers - answers.mean(0)).max() / np.abs(answers).max())
    if not spread > 1e-3:
        raise UserError(f"torch's answers are the same for all images, to {spread:.1g} of the largest")
    np.savez(folder / "examples.npz", calibration=calibration, test=test, answers=answers)
    return {"pixels": list(test.shape[2:]), "off": error, "seconds": round(seconds, 1)}


def quantize(name: str, folder: Path) -> Found:
    """int8.onnx, and onnxruntime's answers: with its integer kernels, and in float between the roundings.

    On x86 it takes the integer kernels for uint8 only, by default; on Arm for int8 as well.
    """
    with np.load(folder / "examples.npz") as examples:
        calibration, test = examples["calibration"], examples["test"]
    started = time.process_time()
    made = ptq.signed(folder / "float.onnx", calibration)
    seconds = time.process_time() - started
    metadata.embed(made, metadata.read(folder / "float.onnx"))
    onnx.save(made, folder / "int8.onnx")
    answers = {name: _asked(made, test, integer) for name, integer in (("integers", True), ("floats", False))}
    np.savez(folder / "int8.npz", **answers)
    return {"seconds": round(seconds, 1)}


def convert_float(name: str, folder: Path) -> Found:
    """The largest difference from torch, as a share of the largest answer, by runtime."""
    seconds = _convert(folder, "float")
    with np.load(folder / "examples.npz") as examples:
        test, answers = examples["test"], examples["answers"]
    expected = _flat(answers)
    off = {runtime: onnxio.off(predict(folder / "float.tflite", test, runtime), expected) for runtime in RUNTIMES}
    return {"off": off, "seconds": seconds}


def convert_int8(name: str, folder: Path) -> Found:
    """The share of answers within `STEPS` steps of int8.onnx's, and of every operator by itself.

    `within` is by runtime and by how onnxruntime runs the graph; `between` is how often those two ways are so near to
    each other. `apart` are the integers of operators on the graph's own integers.
    """
    seconds = _convert(folder, "int8")
    with np.load(folder / "examples.npz") as examples, np.load(folder / "int8.npz") as stored:
        test, shape = examples["test"], examples["answers"].shape
        expected = {name: _flat(stored[name].reshape(shape)) for name in stored}
    model = onnx.load(folder / "int8.onnx")
    step = (STEPS + 0.01) * _step(model, expected["floats"])

    def near(a: np.ndarray, b: np.ndarray) -> float:
        return float((np.abs(a - b) <= step).mean())

    within = {}
    for runtime in RUNTIMES:
        found = predict(folder / "int8.tflite", test, runtime)
        within[runtime] = {name: near(found, each) for name, each in expected.items()}
    apart: dict[str, list[np.ndarray]] = {}
    for operator, off in segments.compared(model, test[:2]):
        apart.setdefault(operator, []).append(off.ravel())
    each = {operator: np.concatenate(off) for operator, off in apart.items()}
    return {
        "within": within,
        "between": near(expected["integers"], expected["floats"]),
        "apart": {
            operator: {"share": float((off > 0).mean()), "steps": int(off.max()), "of": off.size}
            for operator, off in each.items()
            if off.any()
        },
        "integers": sum(off.size for off in each.values()),
        "seconds": seconds,
    }


COURSE: dict[str, Step] = {
    "export": Step(export, (), ("onnxio.py", "embedding.py", "timm", "torch", "onnxsim")),
    "quantize": Step(quantize, ("export",), ("quantization", "calibration", "onnxruntime")),
    "float": Step(convert_float, ("export",), ("tflite", "ai-edge-litert")),
    "int8": Step(convert_int8, ("export", "quantize"), ("tflite", "ai-edge-litert")),
}


def _convert(folder: Path, name: str) -> float:
    """NAME.tflite from NAME.onnx as the stage does it; seconds of the processor that it took."""
    model = onnx.load(folder / f"{name}.onnx")
    started = time.process_time()
    moved = [name for name, layout in convert.layouts(model).items() if layout != "same"]
    made = convert.write(model, metadata.for_tflite(metadata.read_onnx(model), moved))
    seconds = time.process_time() - started
    (folder / f"{name}.tflite").write_bytes(made)
    return round(seconds, 2)


def _flat(answers: np.ndarray) -> np.ndarray:
    """One row an example, images in the order of a TFLite file."""
    return (np.moveaxis(answers, 1, -1) if answers.ndim == 4 else answers).reshape(len(answers), -1)


def _asked(model: onnx.ModelProto, inputs: np.ndarray, integer: bool) -> np.ndarray:
    """onnxruntime's answers with operators merged into integer ones, or as the graph is written."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    if integer:
        options.add_session_config_entry("session.qdqisint8allowed", "1")
    else:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.stack([session.run(None, {name: each[None]})[0].reshape(-1) for each in inputs])


def _step(model: onnx.ModelProto, answers: np.ndarray) -> float:
    """One step of the output, or where it is float a 255th of the range."""
    maker = next(node for node in model.graph.node if model.graph.output[0].name in node.output)
    scales = [onnxio.constant(each) for each in model.graph.initializer if each.name in maker.input[1:2]]
    return float(scales[0]) if maker.op_type == "DequantizeLinear" else float(np.ptp(answers)) / 255


# What is made of it


KINDS = {"export": "exported and simplified", "quantize": "quantized", "float": "float TFLite", "int8": "int8 TFLite"}


def exact(steps: dict[str, Found]) -> bool:
    """Whether the float file answers as torch, in both runtimes."""
    return "off" in steps.get("float", {}) and max(steps["float"]["off"].values()) <= EXACT


def agrees(steps: dict[str, Found]) -> bool:
    """Whether LiteRT's int8 answers are onnxruntime's, in one of its ways to run the graph."""
    return max(steps.get("int8", {}).get("within", {}).get("litert", {"none": 0.0}).values()) >= WITHIN


# The run


_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    ["timm", "onnxscript", "onnxsim", "onnxruntime.quantization", "edgepress.models.tflite.ops.table"]
)


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    if len(sys.argv) > 1:
        for name in sys.argv[1:]:
            print(name, json.dumps(in_a_process(name)), flush=True)
        return
    chosen = smallest()
    wanted = {module: each for module, each in chosen.items() if each["parameters"] < LARGEST}

    def run(module: str) -> Found:
        name = wanted[module]["model"]
        steps = in_a_process(name)
        print(module, name, json.dumps(steps), flush=True)
        return wanted[module] | {"steps": steps}

    with ThreadPoolExecutor(2) as pool:
        modules = dict(zip(wanted, pool.map(run, wanted), strict=True))
    too_large = {module: each for module, each in chosen.items() if module not in wanted}
    found = {"modules": modules, "too_large": too_large, "conversion": {TIMED: in_a_process(TIMED)}}
    print(results.write("coverage", "make bench-coverage", found, also=["onnxscript", "tflite-runtime"]))


def in_a_process(name: str) -> dict[str, Found]:
    """What became of every step; a process that dies or takes too long is what stopped the step that it was at."""
    if left(name):
        process = _SERVER.Process(target=one, args=(name,))
        process.start()
        process.join()
        while steps := left(name):
            why = f"signal {-process.exitcode}" if process.exitcode else "no word from it"
            keep(name, steps[0], {"stopped": [f"the process died: {why}"]})
    return stored(name)


def one(name: str) -> None:
    """Every step of one network that is left, in this process."""
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    logging.disable(logging.WARNING)
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    while steps := left(name):
        try:
            said = COURSE[steps[0]].run(name, folder)
        except UserError as error:
            said = {"stopped": [problem.message for problem in error.problems]}
        except Exception as error:
            said = {"stopped": [f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"]}
        keep(name, steps[0], said)


def stored(name: str) -> dict[str, Found]:
    """The steps that were done with the code as it is now."""
    found = {}
    for step in COURSE:
        path = FOLDER / name / f"{step}.json"
        said = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if said.get("key") == _key(step):
            found[step] = said["found"]
    return found


def left(name: str) -> list[str]:
    """The steps that are not done and that nothing before them stops."""
    found = stored(name)
    stopped = {step for step, said in found.items() if "stopped" in said}
    return [step for step in COURSE if step not in found and not stopped.intersection(COURSE[step].after)]


def keep(name: str, step: str, said: Found) -> None:
    with replacing(FOLDER / name / f"{step}.json") as path:
        path.write_text(json.dumps({"key": _key(step), "found": said}), encoding="utf-8")


@cache
def _key(step: str) -> str:
    """A digest of the code of the step and of those before it."""
    total = hashlib.sha256()
    root = Path(onnxio.__file__).parent
    for each in (*COURSE[step].after, step):
        for name in COURSE[each].code:
            path = root / name
            files = sorted(path.rglob("*.py")) if path.is_dir() else [path] if path.is_file() else []
            total.update(b"".join(file.read_bytes() for file in files) or f"{name} {version(name)}".encode())
    return total.hexdigest()


if __name__ == "__main__":
    main()
