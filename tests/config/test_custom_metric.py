"""A metric of the user's own: one number, or one for each example, and what it may not return."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from edgepress.config.custom_metric import OwnMetric
from edgepress.core.errors import OwnCodeError, Place
from edgepress.core.metric import Metric, Rows
from edgepress.core.metrics import METRICS

OUTPUTS = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
Y = np.arange(60) % 3


def own(folder: Path, body: str, **options: bool) -> Metric:
    (folder / "my_metric.py").write_text(f"import numpy as np\ndef f(outputs, targets):\n    {body}\n")
    written = {"from": "./my_metric.py:f", **options}
    return OwnMetric.model_validate(written).metric(folder, Place(folder / "recipe.yaml", 3, 9))


@pytest.mark.parametrize("body", ["return outputs.argmax(1) == targets", "return list(outputs.argmax(1) == targets)"])
def test_a_value_for_each_example_is_drawn_like_any_metric(tmp_path: Path, body: str) -> None:
    metric = own(tmp_path, body)
    parts = metric.collected(OUTPUTS, Y)
    assert isinstance(parts, np.ndarray)
    assert metric(OUTPUTS, Y) == METRICS["accuracy"](OUTPUTS, Y)
    assert metric.resampled(OUTPUTS, Y) == METRICS["accuracy"].resampled(OUTPUTS, Y)


@pytest.mark.parametrize("form", ["{}", "np.float32({})", "np.array([{}])"])
def test_a_number_is_called_again_for_each_draw(tmp_path: Path, form: str) -> None:
    metric = own(tmp_path, f"return {form.format('float((outputs.argmax(1) == targets).mean())')}")
    assert isinstance(metric.collected(OUTPUTS, Y), Rows)
    assert len(set(metric.resampled(OUTPUTS, Y))) > 1
    if form == "{}":
        assert metric.resampled(OUTPUTS, Y) == METRICS["accuracy"].resampled(OUTPUTS, Y)


def test_the_value_of_a_chunk_of_one_example_is_no_number_of_all(tmp_path: Path) -> None:
    metric = own(tmp_path, "return outputs.argmax(1) == targets")
    chunks = [(OUTPUTS[row : row + 1], Y[row : row + 1]) for row in range(60)]
    parts = metric.gathered(lambda: iter(chunks))
    assert isinstance(parts, np.ndarray)
    assert np.array_equal(parts, metric.collected(OUTPUTS, Y))


def test_a_number_of_all_is_of_whole_splits_and_asked_of_one_chunk_in_vain(tmp_path: Path) -> None:
    metric, seen = own(tmp_path, "return len(outputs) / 60"), []

    def chunks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, 60, 20):
            seen.append(start)
            yield OUTPUTS[start : start + 20], Y[start : start + 20]

    parts = metric.gathered(chunks)
    assert isinstance(parts, Rows)
    assert metric.value(parts) == 1
    assert seen == [0, 0, 20, 40]


def test_it_may_work_in_place(tmp_path: Path) -> None:
    before = OUTPUTS.copy()
    own(tmp_path, "outputs *= 0; targets[:] = 0; return 1.0")(OUTPUTS, Y)
    assert (before == OUTPUTS).all()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return np.zeros(59)", "returned 59 values"),
        ("return outputs", "returned 60 × 3 values"),
        ("return np.zeros(0)", "returned 0 values"),
        ("return np.where(np.arange(60) == 17, np.nan, 0)", "returned nan for example 17"),
        ("return float('inf')", "returned inf"),
        ("return 'good'", "returned a str"),
        ("return '0.5'", "returned a str"),
        ("return ['0.5'] * 60", "returned a list"),
        ("return [[1], [1, 2]]", "returned a list"),
        ("return None", "returned a NoneType"),
        ("return True", "returned a bool"),
        ("return 1j", "returned a complex"),
        ("return outputs[:, 0] * 0 + 2", "returned 2"),
        ("return 1 / 0", "ZeroDivisionError"),
    ],
)
def test_what_it_may_not_return_is_refused_with_its_place(tmp_path: Path, body: str, words: str) -> None:
    with pytest.raises(OwnCodeError) as caught:
        own(tmp_path, body)(OUTPUTS, Y)
    (problem,) = caught.value.problems
    assert words in problem.message
    assert problem.place is not None
    assert problem.place.line == 3


def test_an_error_is_at_least_zero(tmp_path: Path) -> None:
    assert own(tmp_path, "return np.full(60, 7.0)", lower_is_better=True)(OUTPUTS, Y) == 7
    with pytest.raises(OwnCodeError, match="returned -7"):
        own(tmp_path, "return np.full(60, -7.0)", lower_is_better=True)(OUTPUTS, Y)
