"""Run a model on examples one at a time; also a process of its own.

`session.py LOADER MODEL OUTPUT INPUT…`, arrays as .npy.

It stands alone (numpy and the runtime), since it runs in the emulator's own Python as well.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

Run = Callable[[list[Any]], Any]
Kernels = Literal["usual", "signed", "none"]
"""What onnxruntime computes an int8 graph with: what it takes on this processor; `signed`, integer kernels for signed
activations, which it takes by itself on ARM alone (on x86 it shifts some activations to unsigned, and computes between
the others in float); or `none`, the graph as it is written, in float between the roundings."""

_MAP = 4
"""The rank of maps, which TFLite gives with channels last, and ONNX, as the data does, with channels first."""
_DELEGATE = re.compile(rb"INFO: (Created|Initialized) TensorFlow Lite .*delegate")


def run_file(loader: str, model: str, columns: Sequence[Any], kernels: Kernels = "usual") -> Any:
    """Return float32 (n, outputs) of a file; `columns` are arrays (n, *shape) as its inputs take them.

    `loader` is that of a runtime: `API` or `API:MODULE`.
    """
    api, _, module = loader.partition(":")
    run = APIS[api](importlib.import_module(module or api), model, kernels)
    outputs = np.stack([run([value[None] for value in row]) for row in zip(*columns, strict=True)])
    return outputs.astype(np.float32)


def main(loader: str, model: str, output: str, *inputs: str) -> None:
    np.save(output, run_file(loader, model, [np.load(path) for path in inputs]))


def _onnxruntime(onnxruntime: Any, model: str, kernels: Kernels) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    if kernels != "usual":
        entries = {"signed": "session.qdqisint8allowed", "none": "session.disable_quant_qdq"}
        options.add_session_config_entry(entries[kernels], "1")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return lambda row: session.run(None, dict(zip(names, row, strict=True)))[0].reshape(-1)


@contextmanager
def without_delegates() -> Iterator[None]:
    """Drop the lines by which TFLite announces a delegate; all others follow on stderr at the end.

    TFLite writes them from C++ to descriptor 2, without an option to leave them out. That is of the whole process, so
    other threads' words are late too.
    """
    try:
        usual = os.dup(2)
    except OSError:  # stderr is closed: there is nothing to keep clean
        yield
        return
    with tempfile.TemporaryFile() as held:
        try:
            os.dup2(held.fileno(), 2)
            yield
        finally:
            os.dup2(usual, 2)
            os.close(usual)
            held.seek(0)
            for line in held:
                if not _DELEGATE.match(line):
                    os.write(2, line)


def _interpreter(tflite: Any, model: str, kernels: Kernels) -> Run:
    with without_delegates():
        interpreter = tflite.Interpreter(model_path=model, num_threads=1)
        interpreter.allocate_tensors()
    inputs, result = interpreter.get_input_details(), interpreter.get_output_details()[0]["index"]

    def run(row: list[Any]) -> Any:
        for entry, value in zip(inputs, row, strict=True):
            interpreter.set_tensor(entry["index"], np.ascontiguousarray(value, entry["dtype"]))
        interpreter.invoke()
        outputs = interpreter.get_tensor(result)
        if outputs.ndim == _MAP:
            outputs = np.moveaxis(outputs, -1, 1)
        return outputs.reshape(-1).copy()

    return run


APIS = {"onnxruntime": _onnxruntime, "interpreter": _interpreter}

if __name__ == "__main__":
    main(*sys.argv[1:])
