"""Run a model on examples one at a time; also a process of its own.

`session.py LOADER MODEL OUTPUT NAMED INPUT…`: inputs as .npy, the outputs as .npz in the order of `names`; NAMED is
JSON, `[name, channels last]` for each output of a TFLite file.

It stands alone (numpy and the runtime), since it runs in the emulator's own Python as well.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

Run = Callable[[list[Any]], dict[str, Any]]
Named = Sequence[tuple[str, bool | None]]
"""The outputs of a TFLite file in the order of its metadata, and whether channels are last in them."""
Kernels = Literal["usual", "signed", "none"]
"""What onnxruntime computes an int8 graph with: what it takes on this processor; `signed`, integer kernels for signed
activations, which it takes by itself on ARM alone (on x86 it shifts some activations to unsigned, and computes between
the others in float); or `none`, the graph as it is written, in float between the roundings."""

_MAP = 4
"""The rank of outputs with channels last in TFLite files whose metadata has no layout of outputs (schema 2)."""
_DELEGATE = re.compile(rb"INFO: (Created|Initialized) TensorFlow Lite .*delegate")


class OpenShapeError(ValueError):
    """The size of an output depends on the example."""

    def __init__(self, name: str, *shapes: tuple[int, ...]) -> None:
        self.name, self.shapes = name, shapes
        super().__init__(f"output `{name}` has another shape for another example: {shapes[0]}, {shapes[-1]}")


def run_file(
    loader: str,
    model: str,
    columns: Sequence[Any],
    kernels: Kernels = "usual",
    named: Named = (),
    threads: int = 1,
    begin: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Return the outputs of a file by name, in order: float32 (n, *shape), in ONNX's layouts.

    The parameters are those of `outputs`. Raises: OpenShapeError.
    """
    rows = list(outputs(loader, model, columns, kernels, named, threads, begin))
    return {name: stacked(name, rows) for name in list(rows[0])}


def outputs(
    loader: str,
    model: str,
    columns: Sequence[Any],
    kernels: Kernels = "usual",
    named: Named = (),
    threads: int = 1,
    begin: Callable[[], None] = lambda: None,
) -> Generator[dict[str, Any], None, None]:
    """Yield the outputs of a file by name, for one example after the other.

    `columns` are arrays (n, *shape) as its inputs take them; `named` describes the outputs of a TFLite file.
    `loader` is that of a runtime: `API` or `API:MODULE`. The first example runs alone, the others one at a time on each
    of `threads`, so that results are those of one thread; `begin` is called, there, before each of them and before each
    copy of the file is loaded.
    """
    api, _, module = loader.partition(":")
    load, package = APIS[api], importlib.import_module(module or api)
    run = load(package, model, kernels, named)
    batches = ([value[None] for value in row] for row in zip(*columns, strict=True))
    begin()
    yield run(next(batches))
    if (threads := min(threads, len(columns[0]) - 1)) < 2:
        for batch in batches:
            begin()
            yield run(batch)
        return
    runs = [run]
    for _ in range(1, 1 if api in SHARED else threads):
        begin()
        runs.append(load(package, model, kernels, named))
    yield from _in_threads(runs, batches, threads, begin)


def _in_threads(
    runs: Sequence[Run], batches: Iterator[list[Any]], threads: int, begin: Callable[[], None]
) -> Generator[dict[str, Any], None, None]:
    """Yield the outputs of each batch in turn; a thread takes one of `runs`, or shares the only one.

    Batches are taken a few ahead, so that one that never ends is soon the only one, and `begin` is not called again.
    It does as `core.threads`, which this file cannot import: an emulated device runs it alone.
    """
    free = deque(runs if len(runs) > 1 else list(runs) * threads)
    waiting: deque[Future[dict[str, Any]]] = deque()

    def work(batch: list[Any]) -> dict[str, Any]:
        run = free.popleft()  # there are as many as threads
        try:
            begin()
            return run(batch)
        finally:
            free.append(run)

    with ThreadPoolExecutor(threads) as pool:
        try:
            for batch in batches:
                waiting.append(pool.submit(work, batch))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def main(loader: str, model: str, output: str, named: str, *inputs: str) -> None:
    outputs = run_file(loader, model, [np.load(path) for path in inputs], named=json.loads(named))
    np.savez(output, *outputs.values(), names=np.array(list(outputs)))


def stacked(name: str, rows: list[dict[str, Any]]) -> Any:
    """Take an output out of `rows` and stack it, so that it is in memory once.

    A leading axis of 1 is the batch, which the examples take the place of.
    """
    shape = rows[0][name].shape
    array = np.empty((len(rows), *shape), np.float32)
    for at, row in enumerate(rows):
        value = row.pop(name)
        if value.shape != shape:
            raise OpenShapeError(name, shape, value.shape)
        array[at] = value
    return array[:, 0] if array.ndim > 1 and array.shape[1] == 1 else array


def _onnxruntime(onnxruntime: Any, model: str, kernels: Kernels, _: Named) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    if kernels != "usual":
        entries = {"signed": "session.qdqisint8allowed", "none": "session.disable_quant_qdq"}
        options.add_session_config_entry(entries[kernels], "1")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    outputs = [value.name for value in session.get_outputs()]
    return lambda row: dict(zip(outputs, session.run(None, dict(zip(names, row, strict=True))), strict=True))


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


def _interpreter(tflite: Any, model: str, kernels: Kernels, named: Named) -> Run:
    with without_delegates():
        interpreter = tflite.Interpreter(model_path=model, num_threads=1)
        interpreter.allocate_tensors()
    inputs, found = interpreter.get_input_details(), interpreter.get_output_details()
    named = named or [(entry["name"], None) for entry in found]
    known = {entry["name"]: entry for entry in found}
    by_name = len(known) == len(found) and {name for name, _ in named} == known.keys()  # else the order of the file
    outputs = [
        (name, (known[name] if by_name else entry)["index"], last)
        for (name, last), entry in zip(named, found, strict=True)
    ]

    def run(row: list[Any]) -> dict[str, Any]:
        for entry, value in zip(inputs, row, strict=True):
            interpreter.set_tensor(entry["index"], np.ascontiguousarray(value, entry["dtype"]))
        interpreter.invoke()
        return {name: _first(interpreter.get_tensor(index), last) for name, index, last in outputs}

    return run


def _first(array: Any, last: bool | None) -> Any:
    """Return an output with channels first; without a layout, one of rank 4 has them last."""
    if last is None:
        last = array.ndim == _MAP
    return np.moveaxis(array, -1, 1) if last else array


APIS = {"onnxruntime": _onnxruntime, "interpreter": _interpreter}
SHARED = ("onnxruntime",)
"""Whose sessions several threads may run at once; an interpreter's tensors are one thread's."""

if __name__ == "__main__":
    main(*sys.argv[1:])
