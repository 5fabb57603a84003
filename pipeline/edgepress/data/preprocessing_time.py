"""Measure the time to preprocess one example.

No latency of the model includes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..core.results import Preprocessing
from .dataset import Dataset
from .images import SAMPLED, pixels


def measure(data: Dataset) -> Preprocessing:
    """Time some files of `data`, as training reads them, and some of its test examples, each after an untimed call."""
    read = []
    if data.files:
        channels, height, width = (image := next(input for input in data.inputs if input.kind == "image")).shape
        for path in data.files:
            grey, resize = channels == 1, image.resize or "crop"
            read.append(seconds(lambda: pixels(path, grey=grey, size=(height, width), resize=resize)))  # noqa: B023
    x = data["test"].x[:SAMPLED]
    return Preprocessing(read=read, ready=[seconds(lambda: data.to_model_inputs(x[i : i + 1])) for i in range(len(x))])  # noqa: B023


def seconds(work: Callable[[], object]) -> float:
    """Return CPU seconds of this thread. A device reads one picture after another: memory and caches are warm."""
    work()
    started = time.thread_time_ns()
    work()
    return max(time.thread_time_ns() - started, 1) / 1e9
