"""Batches of images that stay in their files: those of arrays, whoever makes them, and what ends them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from edgepress.core import system_errors
from edgepress.core.errors import UserError
from edgepress.data.dataset import Dataset
from edgepress.data.load import load_dataset
from edgepress.data.source import Source
from edgepress.training import Examples, Rows, inference, workers
from edgepress.training.examples import prefetch

from tests.data.made import photos

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return load_dataset(Source.model_validate({"from": str(photos(tmp_path / "photos", each=20))}))


@pytest.mark.parametrize("cores", [1, 3])
@pytest.mark.parametrize("how", [{}, {"flip": True, "shift": 2, "mixup": 0.2}, {"augment": ("trivial",)}])
def test_batches_of_files_are_those_of_arrays(
    data: Dataset, how: dict[str, object], cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    batches = [Rows(rows, 3) for rows in torch.arange(28).flip(0).split(8)]
    before = torch.get_rng_state()
    made = list(prefetch(Examples(data, "train", 0, **how), batches))  # type: ignore[arg-type]
    assert torch.equal(torch.get_rng_state(), before), "a training that goes on draws what it would have drawn"
    arrays = Examples(data.in_memory(), "train", 0, **how)  # type: ignore[arg-type]
    assert len(made) == 4
    for rows, (pixels,), y in made:
        (wanted,), labels = arrays.pair(rows)
        assert torch.equal(pixels, wanted)
        assert torch.equal(y, labels)


def test_outputs_come_in_the_order_of_the_files(data: Dataset) -> None:
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 12 * 12, 2))
    found, wanted = (inference.logits(module, Examples(each, "train", 0)) for each in (data, data.in_memory()))
    assert np.allclose(found, wanted, atol=1e-6)


def test_a_file_that_is_gone_ends_the_batches_in_words(data: Dataset, tmp_path: Path) -> None:
    for file in (tmp_path / "photos" / "cat").iterdir():
        file.unlink()
    with pytest.raises(UserError, match=r"`photos`: `cat/\d\d.png` is gone"):
        list(prefetch(Examples(data, "train", 0), [Rows(torch.arange(28), 0)]))


def greedy(batch: int) -> np.ndarray:
    raise MemoryError(f"batch {batch}")


def test_memory_that_runs_out_in_a_process_is_the_systems(tmp_path: Path) -> None:
    with pytest.raises(workers.WorkerError, match=r"^a process that loads batches failed: MemoryError") as error:
        list(workers.loaded(greedy, [1]))
    fault = system_errors.of(error.value)
    assert fault is not None
    assert system_errors.is_of_memory(fault)
