"""What observers see: the activations of each example, in memory that the next one takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from edgepress.stages.quantize.calibration import observe
from edgepress.stages.quantize.sqnr import watched
from onnx import helper

from tests.stages.quantize.made import evidence, graph, uneven


class Copies:
    """Observes everything, and keeps it."""

    tensors = None

    def __init__(self) -> None:
        self.seen: list[dict[str, np.ndarray]] = []
        self.places: set[int] = set()

    def look(self, values: dict[str, np.ndarray], turn: int) -> dict[str, np.ndarray]:
        self.places.update(value.ctypes.data for name, value in values.items() if name != "x")
        return {name: value.copy() for name, value in values.items()}

    def take(self, seen: Any, turn: int) -> None:
        self.seen.append(seen)


@pytest.mark.parametrize("threads", [1, 3])
def test_each_example_is_seen_as_it_is(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgepress.core.threads.at_most", lambda: threads)
    model, observer = uneven(), Copies()
    given = evidence(model, 40)
    observe.observe(model, given.seen, [observer])
    names = ["x", "c1", "r1", "c2", "r2", "m", "f", "y"]
    for seen, expected in zip(observer.seen, watched(model, names, given.seen), strict=True):
        assert [*seen] == names
        for name, value in zip(names, expected, strict=True):
            np.testing.assert_allclose(seen[name], value, rtol=1e-5, atol=1e-6)
    assert len(observer.places) <= threads * (len(names) - 1), "the arrays of one example for each thread"


def test_sizes_may_differ_from_example_to_example() -> None:
    model = graph([helper.make_node("Relu", ["x"], ["y"])], {}, (1, 2, 4), (1, 2, 4))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[2].dim_param = "steps"
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    rows = [(np.full((2, steps), steps, np.float32),) for steps in (3, 5, 5, 3, 0, 7)]
    observer = Copies()

    class Rows(list[tuple[np.ndarray, ...]]):
        pass

    observe.observe(model, Rows(rows), [observer])
    assert [seen["y"].shape for seen in observer.seen] == [(1, *row[0].shape) for row in rows]
    for seen, (row,) in zip(observer.seen, rows, strict=True):
        np.testing.assert_array_equal(seen["y"][0], row)
