"""Run a model file on examples, in the runtime that its kind belongs to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from .metadata import CHANNELS_LAST, read

Answer = Callable[[tuple[np.ndarray, ...]], np.ndarray]


def predict(path: Path, inputs: np.ndarray | tuple[np.ndarray, ...], runtime: str | None = None) -> np.ndarray:
    """Answers of an `.onnx` or `.tflite` file to `inputs`, one example at a time: float32 (n, labels).

    `inputs` has one array (n, *shape) for each input of the file, in their order and in ONNX's layouts; a single one
    may stand alone. `runtime` is `onnxruntime`, `litert` or `tflite-runtime`; by default the fast one for the file.
    """
    columns = inputs if isinstance(inputs, tuple) else (inputs,)
    answer = _onnx(path) if path.suffix == ".onnx" else _tflite(path, runtime or "litert")
    return np.stack([answer(tuple(each[None] for each in row)) for row in zip(*columns, strict=True)])


def _onnx(path: Path) -> Answer:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    return lambda row: session.run(None, dict(zip(names, row, strict=True)))[0].reshape(-1)


def _tflite(path: Path, runtime: str) -> Answer:
    if runtime == "tflite-runtime":
        from tflite_runtime.interpreter import Interpreter
    else:
        from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    sources = interpreter.get_input_details()
    result = interpreter.get_output_details()[0]["index"]
    last = [entry["layout"] in CHANNELS_LAST.values() for entry in read(path)["inputs"]]

    def answer(row: tuple[np.ndarray, ...]) -> np.ndarray:
        for source, value, moves in zip(sources, row, last, strict=True):
            moved = np.moveaxis(value, 1, -1) if moves else value
            interpreter.set_tensor(source["index"], np.ascontiguousarray(moved, source["dtype"]))
        interpreter.invoke()
        found: np.ndarray = interpreter.get_tensor(result).reshape(-1).copy()
        return found

    return answer
