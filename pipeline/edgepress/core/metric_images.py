"""Score images (n, channels, h, w) against images: each has its value, and the metric is their mean.

Targets are uint8, or float32 from 0 to 1; outputs are from 0 to 1, and only in between do `psnr` and `ssim` look.
"""

from __future__ import annotations

import numpy as np

SIGMA, RADIUS = 1.5, 5
"""Deviation and radius in pixels of SSIM's Gaussian window, which has 11 × 11 (Wang et al., 2004)."""
K1, K2 = 0.01, 0.03
"""Constants that keep SSIM's quotients from 0/0, of the same paper."""
MOST = 100.0
"""Decibels of images that are the same: the PSNR of an error of 0.00001 of the range."""


def psnr(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the peak signal-to-noise ratio of each image, −10 · log10 of its mean squared error, over 100 dB.

    A point of it, a hundredth, is so a decibel.
    """
    squares = np.square(_clipped(outputs) - _clipped(y)).reshape(len(y), -1).mean(1)
    ratio: np.ndarray = np.clip(-10 * np.log10(np.maximum(squares, 10 ** (-MOST / 10))), 0, MOST) / 100
    return ratio


def ssim(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the mean structural similarity of each image, over its channels and the windows that lie within it.

    SSIM = (2·μx·μy + C1)(2·σxy + C2) / ((μx² + μy² + C1)(σx² + σy² + C2)), C = (K · 1)² (Wang et al., 2004).
    """
    from scipy.ndimage import gaussian_filter

    def blurred(image: np.ndarray) -> np.ndarray:
        result: np.ndarray = gaussian_filter(image, (0, 0, SIGMA, SIGMA), radius=(0, 0, RADIUS, RADIUS))
        return result

    a, b = _clipped(outputs), _clipped(y)
    mean_a, mean_b = blurred(a), blurred(b)
    both = blurred(a * b) - mean_a * mean_b
    spread = blurred(a * a) + blurred(b * b) - mean_a**2 - mean_b**2
    map_ = (2 * mean_a * mean_b + K1**2) * (2 * both + K2**2)
    map_ /= (mean_a**2 + mean_b**2 + K1**2) * (spread + K2**2)
    top, left = (min(RADIUS, (side - 1) // 2) for side in y.shape[2:])
    inside: np.ndarray = map_[:, :, top : y.shape[2] - top, left : y.shape[3] - left].reshape(len(y), -1).mean(1)
    return inside


def _unit(image: np.ndarray) -> np.ndarray:
    return image / np.float32(255) if image.dtype == np.uint8 else image


def _clipped(image: np.ndarray) -> np.ndarray:
    """Return float64 values from 0 to 1; what is no number is 0, the error of an image that is not there."""
    return np.clip(np.nan_to_num(_unit(image).astype(np.float64)), 0, 1)
