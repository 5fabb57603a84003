"""Run a model file on images, in the runtime that its kind belongs to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np


def predict(path: Path, images: np.ndarray, runtime: str | None = None) -> np.ndarray:
    """Answers of an `.onnx` or `.tflite` file to normalised float32 images (n, c, h, w), one at a time: (n, classes).

    `runtime` is `onnxruntime`, `litert` or `tflite-runtime`; by default the fast one for the kind of file.
    """
    answer = _onnx(path) if path.suffix == ".onnx" else _tflite(path, runtime or "litert")
    return np.stack([answer(image[None]) for image in images])


def _onnx(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda image: session.run(None, {name: image})[0][0]


def _tflite(path: Path, runtime: str) -> Callable[[np.ndarray], np.ndarray]:
    if runtime == "tflite-runtime":
        from tflite_runtime.interpreter import Interpreter
    else:
        from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def answer(image: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(source, np.ascontiguousarray(image.transpose(0, 2, 3, 1)))
        interpreter.invoke()
        found: np.ndarray = interpreter.get_tensor(result)[0].copy()
        return found

    return answer
