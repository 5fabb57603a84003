"""Run passes over examples without training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .device import best, on_device
from .examples import Examples, Rows, prefetch
from .malloc import keep
from .memory_format import channels_last

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from ..core.metric import Metric
    from ..data.dataset import Dataset
    from ..data.targets.target import Targets

BATCH, SMALL_BATCH, BATCH_OF_MAPS = 256, 64, 32
"""Examples in a batch; where they are read for it, or a CPU's caches hold them; and where an output is a picture."""


def at_once(targets: Targets) -> int:
    """Return how many examples are run at once: fewer where an output is as large as a picture."""
    return BATCH_OF_MAPS if targets.spatial else BATCH


def _most(examples: Examples) -> int:
    """Return the same for `examples`; several batches of those that are read wait in memory."""
    return min(at_once(examples.targets), SMALL_BATCH if examples.lazy else BATCH)


def _quickest(examples: Examples) -> int:
    """Return how many are run at once where no result depends on it."""
    return min(_most(examples), SMALL_BATCH if best().type == "cpu" else BATCH)


def batches(examples: Examples, view: int = 0, rows: Tensor | None = None) -> Iterator[tuple[Tensor, ...]]:
    """Yield the inputs of the examples, or of these `rows` (n,), a batch at a time, in order."""
    import torch

    most = _quickest(examples)
    if rows is not None:  # too few for other processes to be started
        return map(examples.batch, (Rows(part, view) for part in rows.split(most)))
    return _loaded(examples, torch.arange(len(examples)).split(most), view)


def _loaded(examples: Examples, parts: Sequence[Tensor], view: int = 0) -> Iterator[tuple[Tensor, ...]]:
    """Yield the inputs of each part of the examples; other processes read those that are not in memory."""
    wanted = [Rows(rows, view) for rows in parts]
    if examples.lazy:
        yield from (inputs for _, inputs, _ in prefetch(examples, wanted))
    else:
        yield from map(examples.batch, wanted)


def logits(module: nn.Module, examples: Examples, view: int = 0) -> np.ndarray:
    """Return the outputs of `module` on all `examples`, in order: float32 (n, labels), or maps (n, …)."""
    import numpy as np

    return np.concatenate(list(outputs(module, examples, view)))


def score_points(module: nn.Module, data: Dataset, split: str, metric: Metric, seed: int = 0) -> float:
    """Return the score of `module` on a split, in points; see `score`."""
    return metric.points_of(score(module, data, split, metric, seed), data[split].y)


def score(module: nn.Module, data: Dataset, split: str, metric: Metric, seed: int = 0) -> float:
    """Return the metric of `module` on a split; of maps no more than a batch is in memory."""
    examples, y = Examples(data, split, seed), data[split].y
    detector = getattr(module, "edgepress", None)  # whose heads become boxes
    if not data.targets.spatial:
        return metric(logits(module, examples), y)

    def chunks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        start = 0
        for part in outputs(module, examples):
            yield part if detector is None else detector.predictions(part), y[start : start + len(part)]
            start += len(part)

    return metric.value(metric.gathered(chunks))


def outputs(module: nn.Module, examples: Examples, view: int = 0, rows: Tensor | None = None) -> Iterator[np.ndarray]:
    """Yield the outputs of `module` on `examples`, or on these `rows` (n,), a batch at a time, in order.

    It runs on the best device.
    """
    import torch

    keep()
    module.eval()
    with on_device(module) as device, channels_last(module):
        for inputs in batches(examples, view, rows):
            with torch.inference_mode():
                part = module(*(tensor.to(device) for tensor in inputs)).cpu()
            yield part.float().numpy()


def reestimate(module: nn.Module, data: Dataset, seed: int) -> nn.Module:
    """Estimate batch norm's mean and variance in one pass over the training images, each batch with equal weight."""
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm

    norms = [layer for layer in module.modules() if isinstance(layer, _BatchNorm)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None
    examples = Examples(data, "train", seed)
    module.eval()  # all but the norms: dropout would make the statistics random
    for layer in norms:
        layer.train()
    with on_device(module) as device, channels_last(module), torch.no_grad():
        # None of the parts is a single image, which has no variance.
        for inputs in _loaded(
            examples, torch.arange(len(examples)).tensor_split(max(1, len(examples) // _most(examples)))
        ):
            module(*(tensor.to(device) for tensor in inputs))
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
    return module.eval()
