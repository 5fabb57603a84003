"""`regression`: quantities; outputs are numbers (b, quantities)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .task import LabelTask, Loss, Skill

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..data.dataset import Dataset


class Regression(LabelTask):
    name: ClassVar[str] = "regression"
    lenient: ClassVar[bool] = True

    def loss(self, data: Dataset, *, smoothing: float = 0.0, balanced: bool = False) -> Loss:
        """Return the mean squared error."""
        from torch.nn import functional

        return functional.mse_loss

    def kd(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """Return the mean squared difference."""
        from torch.nn import functional

        return functional.mse_loss(student, teacher)

    def nll(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the mean squared error, a Gaussian's up to constants."""
        from torch.nn import functional

        return functional.mse_loss(outputs, y.to(outputs.dtype))

    def skill(self, outputs: np.ndarray, y: np.ndarray, metric: str = "") -> Skill:
        """Return R²; one number everywhere is held against 0."""
        import numpy as np

        from ..core.metrics import METRICS

        varied = bool(np.ptp(y, axis=0).any())
        spread = float(((y - y.mean(0) * varied) ** 2).mean())
        share = 1 - float(((outputs - y) ** 2).mean()) / max(spread, 1e-12)
        constant = float(np.abs(y - np.median(y, axis=0)).mean())
        error = METRICS["mae"](outputs, y)
        words = f"mean absolute error {error:.4g}, of always predicting the labels' median {constant:.4g}"
        return Skill(share, 0.0, words)
