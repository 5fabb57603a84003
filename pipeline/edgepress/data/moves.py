"""Mirror and shift pictures, and targets that move with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def move(pixels: Tensor, flips: Tensor, moves: Tensor, factor: int = 1) -> Tensor:
    """Return images (b, c, h, w), mirrored where `flips` (b,), then moved up and left by `moves` (b, 2) pixels.

    Edge pixels are repeated. Of pictures that are larger than the examples by `factor`, a pixel of the example is
    factor × factor. A single gather does it all, into `channels_last`.
    """
    import torch

    count, _, height, width = pixels.shape
    down = (moves[:, :1] + torch.arange(height // factor)).clamp(0, height // factor - 1)
    right = (moves[:, 1:] + torch.arange(width // factor)).clamp(0, width // factor - 1)
    if factor > 1:
        down, right = ((cells[:, :, None] * factor + torch.arange(factor)).flatten(1) for cells in (down, right))
    right = torch.where(flips[:, None], width - 1 - right, right)
    rows = torch.arange(count)[:, None, None]
    return pixels[rows, :, down[:, :, None], right[:, None, :]].permute(0, 3, 1, 2)
