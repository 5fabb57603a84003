"""Small working folders that campaigns start from: networks of some hundred weights, data of some hundred examples."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.torture.runner import Fresh

FEATURES, CLASSES = 16, 4
TARGET = """\
name: dev
runtime: onnxruntime
reach: local
budgets: {size: 5 MB, accuracy: 10%}
"""
TIMED = TARGET.replace("accuracy: 10%", "accuracy: 10%, latency: 50 ms, memory: 4 GB")
PHONE = "name: phone\nruntime: litert\nreach: local\nbudgets: {size: 5 MB}\n"
LITE = """\
name: lite
task: {data: {from: ./x.npz, normalize: none}, metric: accuracy, seed: 0}
stages:
  - {use: load, name: float, from: ./m.onnx}
  - {use: quantize.static, name: int8, samples: 32, faster: false}
  - {use: convert.tflite, name: int8-tflite}
targets: [./dev.yaml]
"""
_STEPS = "epochs: 3, batch: 32, lr: 0.02"
_MLP = f"model: {{arch: edgepress/mlp}}, {_STEPS}"
TINY = f"""\
name: tiny
task: {{data: ./x.npz, metric: accuracy, seed: 0}}
stages:
  - {{use: train, name: a, {_MLP}}}
  - {{use: train, name: b, {_MLP}}}
  - {{use: fuse.ensemble, name: teacher, models: [a, b]}}
  - {{use: distill.kd, name: student, student: {{arch: edgepress/mlp}}, teacher: teacher, {_STEPS}}}
  - {{use: prune.channels, name: small, ratio: 20%, finetune: {{epochs: 2, batch: 32, lr: 0.01}}}}
  - {{use: export.onnx, name: float}}
  - {{use: quantize.static, name: int8, samples: 32, faster: false}}
  - {{use: convert.tflite, name: int8-tflite}}
targets: [./dev.yaml]
"""
LONG = """\
name: long
task: {data: ./x.npz, metric: accuracy, seed: 0}
stages:
  - {use: train, name: a, model: {arch: edgepress/mlp}, epochs: 60, batch: 16, lr: 0.02}
  - {use: export.onnx, name: float}
  - {use: convert.tflite, name: float-tflite}
targets: []
"""
"""Most of its time is training: it is killed between checkpoints, and goes on from one."""
SOUP = f"""\
name: soup
task: {{data: ./x.npz, metric: accuracy, seed: 0}}
stages:
  - {{use: train, name: base, {_MLP}}}
  - {{use: train, name: a, start: base, epochs: 2, lr: 0.002, seed: 1}}
  - {{use: train, name: b, start: base, epochs: 2, lr: 0.002, seed: 2}}
  - {{use: fuse.soup.greedy, name: soup, models: [a, b]}}
  - {{use: export.onnx, name: float}}
  - {{use: quantize.static, name: int8, samples: 32, faster: false}}
targets: [./dev.yaml]
"""
DONE = "seconds.json"
RECIPES = {"lite": LITE, "tiny": TINY, "long": LONG, "soup": SOUP}


def mlp() -> onnx.ModelProto:
    """Return Gemm, Relu, Gemm from `FEATURES` numbers to `CLASSES`."""
    random = np.random.default_rng(0)
    shapes = ((FEATURES, 8), (8,), (8, CLASSES), (CLASSES,))
    weights = [numpy_helper.from_array(random.normal(size=s).astype(np.float32), f"w{i}") for i, s in enumerate(shapes)]
    nodes = [
        helper.make_node("Gemm", ["input", "w0", "w1"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w2", "w3"], ["output"]),
    ]
    return model(nodes, weights)


def model(nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto], opset: int = 17) -> onnx.ModelProto:
    """Return a model from `input` (1, FEATURES) to `output` (1, CLASSES)."""
    ends = [(name, [1, size]) for name, size in (("input", FEATURES), ("output", CLASSES))]
    values = [[helper.make_tensor_value_info(name, 1, shape)] for name, shape in ends]
    graph = helper.make_graph(nodes, "g", *values, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def lay_out(folder: Path) -> None:
    """Write every recipe, its data, its model and its targets into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    y = np.arange(160) % CLASSES
    x = random.normal(size=(160, FEATURES)) + np.eye(CLASSES).repeat(4, 1)[y] * 2
    np.savez(folder / "x.npz", x=x.astype(np.float32), y=y)
    (folder / "m.onnx").write_bytes(mlp().SerializeToString())
    texts = {"dev.yaml": TARGET, "phone.yaml": PHONE, **{f"{name}.yaml": text for name, text in RECIPES.items()}}
    for name, text in texts.items():
        (folder / name).write_text(text)


def finished(seeds: Path, runner: Fresh, recipe: str, timed: bool = False) -> None:
    """Make `seeds/RECIPE`, or `RECIPE-timed`, once: its `work` is a folder in which nothing disturbed the run."""
    folder = seeds / f"{recipe}{'-timed' * timed}"
    if (folder / DONE).exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    lay_out(folder / "work")
    if timed:
        (folder / "work" / "dev.yaml").write_text(TIMED)
    ended = runner.run(["run", f"{recipe}.yaml"], folder, wait=600)
    if ended.code not in (0, 1, 4):
        raise RuntimeError(f"the undisturbed run of {recipe} ends with {ended.code}: {ended.err}")
    (folder / DONE).write_text(json.dumps(ended.wall))


def seconds(seeds: Path, recipe: str) -> float:
    """Return how long the undisturbed run took."""
    return float(json.loads((seeds / recipe / DONE).read_text()))
