"""Ask a model about examples, one at a time; as a process too: `answer.py RUNTIME MODEL OUTPUT INPUT…`, arrays as .npy.

It stands alone (numpy and the runtime), since it runs in the emulator's own Python as well.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Answer = Callable[[list[Any]], Any]


def answers(runtime: str, model: str, columns: Sequence[Any], literal: bool = False) -> Any:
    """Float32 (n, answers) of a file; `columns` are arrays (n, *shape) as its inputs take them.

    `literal` has onnxruntime compute an int8 graph as it is written, in float between the roundings.
    """
    answer = _onnx(model, literal) if runtime == "onnxruntime" else _tflite(runtime, model)
    found = np.stack([answer([each[None] for each in row]) for row in zip(*columns, strict=True)])
    return found.astype(np.float32)


def main(runtime: str, model: str, output: str, *inputs: str) -> None:
    np.save(output, answers(runtime, model, [np.load(path) for path in inputs]))


def _onnx(model: str, literal: bool) -> Answer:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.disable_quant_qdq", str(int(literal)))
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    return lambda row: session.run(None, dict(zip(names, row, strict=True)))[0].reshape(-1)


def _tflite(runtime: str, model: str) -> Answer:
    if runtime == "litert":
        from ai_edge_litert.interpreter import Interpreter
    else:
        from tflite_runtime.interpreter import Interpreter
    interpreter = Interpreter(model_path=model, num_threads=1)
    interpreter.allocate_tensors()
    inputs, result = interpreter.get_input_details(), interpreter.get_output_details()[0]["index"]

    def answer(row: list[Any]) -> Any:
        for each, value in zip(inputs, row, strict=True):
            interpreter.set_tensor(each["index"], np.ascontiguousarray(value, each["dtype"]))
        interpreter.invoke()
        return interpreter.get_tensor(result).reshape(-1).copy()

    return answer


if __name__ == "__main__":
    main(*sys.argv[1:])
