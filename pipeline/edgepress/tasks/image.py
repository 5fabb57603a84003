"""`image`: a picture each, such as one without noise, of more pixels, or of depth; outputs are (b, channels, h, w).

Outputs are in the unit of the targets: of uint8 pictures 0 to 255 are 0 to 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .task import Loss, Skill, Task

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..data.dataset import Dataset


class Image(Task):
    name: ClassVar[str] = "image"
    alike: ClassVar[str] = ""
    dense: ClassVar[bool] = True

    def loss(self, data: Dataset, *, smoothing: float = 0.0, balanced: bool = False) -> Loss:
        """Return the mean absolute difference, L1."""
        from torch.nn import functional

        return lambda z, y: functional.l1_loss(z, scaled(y).to(z.dtype))

    def kd(self, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """Return L1 to the teacher's picture."""
        from torch.nn import functional

        return functional.l1_loss(student, teacher)

    def nll(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the mean squared error, a Gaussian's up to constants."""
        from torch.nn import functional

        return functional.mse_loss(outputs, scaled(y).to(outputs.dtype))

    def predictions(self, outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the pictures as the targets are: uint8 of 0 to 255, or float32.

        What is no number has none of 256 values, and is as far from the target as one of them can be.
        """
        import numpy as np

        if y.dtype != "uint8":
            return outputs
        pixels = np.where(np.isfinite(outputs), outputs * 255, np.where(y < 128, 255, 0))
        return pixels.round().clip(0, 255).astype("uint8")

    def skill(self, outputs: np.ndarray, y: np.ndarray, metric: str = "") -> Skill:
        """Return R², with the mean colour of the targets as what is always predicted."""
        import numpy as np

        colour = np.mean([scaled(target).mean((1, 2), dtype=np.float64) for target in y], 0)[:, None, None]
        flat = colour.astype(np.float32)
        spread, error = 0.0, 0.0
        for found, row in zip(outputs, y, strict=True):  # all at once would be four times as much as the pictures
            target = scaled(row)
            spread += float(np.square(target - flat).mean(dtype=np.float64)) / len(y)
            shown = np.where(np.isfinite(found), scaled(found), np.float32(0))  # as the metrics have it
            error += float(np.square(shown - target).mean(dtype=np.float64)) / len(y)
        words = f"root mean squared error {error**0.5:.4g}, of one flat colour {spread**0.5:.4g}"
        return Skill(1 - error / max(spread, 1e-12), 0.0, words)


def scaled(y: Any) -> Any:
    """Return uint8 pictures, an array or a tensor, as float32 of 0 to 1; others as they are."""
    import numpy as np

    if not str(y.dtype).endswith("uint8"):
        return y
    return y / np.float32(255) if isinstance(y, np.ndarray) else y / 255
