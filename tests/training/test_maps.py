"""Training on outputs as large as pictures, and on vectors: what is in memory at once, and who gets which rows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from edgepress.core.metric import Metric, Rows
from edgepress.core.metrics import METRICS
from edgepress.data.targets import KINDS
from edgepress.models.description import Network
from edgepress.training import Examples, inference, logits, seeded
from edgepress.training.loop import _Loop

from tests.models.test_dense import SMALL, made


def test_a_score_of_maps_is_made_batch_by_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made("keypoints")
    with seeded(0):
        module = Network(arch=SMALL).describe(data).build()
    own = Metric("own", Rows, lambda rows: float(rows.outputs.mean()), chunked=False)
    for metric in (METRICS["pck"].of_data(size=(32, 32)), own):
        whole = metric.score_points(logits(module, Examples(data, "test", 0)), data["test"].y)
        monkeypatch.setattr(inference, "BATCH_OF_MAPS", 1)
        assert inference.score_points(module, data, "test", metric) == pytest.approx(whole, rel=1e-5)
        monkeypatch.undo()


def test_maps_are_run_fewer_at_once() -> None:
    assert {name: inference.at_once(kind) for name, kind in KINDS.items()} == {
        "single-label": 256, "multi-label": 256, "regression": 256, "embedding": 256,
        "segmentation": 32, "keypoints": 32, "image": 32, "detection": 32,
    }  # fmt: skip


@pytest.mark.parametrize("task", ["embedding", "single-label"])
def test_processes_share_a_batch_and_leave_neighbours_together(task: Any) -> None:
    def share(process: int) -> np.ndarray:
        loop = SimpleNamespace(
            accelerator=SimpleNamespace(process_index=process, num_processes=2),
            run=SimpleNamespace(epoch=0), views=None, data=made(task),
        )  # fmt: skip
        rows = _Loop._share(loop, torch.arange(16))  # type: ignore[arg-type]
        return rows.index.numpy()

    parts = [share(process) for process in range(2)]
    assert sorted(np.concatenate(parts)) == list(range(16))
    expected = np.arange(8) if task == "embedding" else np.arange(0, 16, 2)
    assert np.array_equal(parts[0], expected)
