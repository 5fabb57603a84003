"""Score images (n, channels, h, w) against images: each has its value, and the metric is their mean.

Of uint8 targets outputs are from 0 to 1, and only in between do `psnr` and `ssim` look. Others have a unit of their
own, such as metres of a depth, and `peak` is the range of its values.
"""

from __future__ import annotations

import numpy as np

SIGMA, RADIUS = 1.5, 5
"""Deviation and radius in pixels of SSIM's Gaussian window, which has 11 × 11 (Wang et al., 2004)."""
K1, K2 = 0.01, 0.03
"""Constants that keep SSIM's quotients from 0/0, of the same paper."""
MOST = 100.0
"""Decibels of images that are the same: the PSNR of an error of 0.00001 of the range."""


def psnr(outputs: np.ndarray, y: np.ndarray, peak: float = 1.0) -> np.ndarray:
    """Return the peak signal-to-noise ratio of each image in dB, 10 · log10(peak² / mean squared error)."""
    a, b = _compared(outputs, y)
    squares = np.square((a - b) / peak).reshape(len(y), -1).mean(1)
    decibels: np.ndarray = -10 * np.log10(np.maximum(squares, 10 ** (-MOST / 10)))
    return decibels


def mean_decibels(decibels: np.ndarray) -> float:
    return float(decibels.mean())


def ssim(outputs: np.ndarray, y: np.ndarray, peak: float = 1.0) -> np.ndarray:
    """Return the mean structural similarity of each image, over its channels and the windows that lie within it.

    SSIM = (2·μx·μy + C1)(2·σxy + C2) / ((μx² + μy² + C1)(σx² + σy² + C2)), C = (K · peak)² (Wang et al., 2004).
    """
    from scipy.ndimage import gaussian_filter

    def blurred(image: np.ndarray) -> np.ndarray:
        result: np.ndarray = gaussian_filter(image, (0, 0, SIGMA, SIGMA), radius=(0, 0, RADIUS, RADIUS))
        return result

    a, b = _compared(outputs, y)
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    mean_a, mean_b = blurred(a), blurred(b)
    both = blurred(a * b) - mean_a * mean_b
    spread = blurred(a * a) + blurred(b * b) - mean_a**2 - mean_b**2
    map_ = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    map_ /= (mean_a**2 + mean_b**2 + c1) * (spread + c2)
    top, left = (min(RADIUS, (side - 1) // 2) for side in y.shape[2:])
    inside: np.ndarray = map_[:, :, top : y.shape[2] - top, left : y.shape[3] - left].reshape(len(y), -1).mean(1)
    return inside


def _compared(outputs: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return outputs and targets in one unit, as float64; what is no number is 0, the error of an image that is not
    there."""
    a, b = np.nan_to_num(outputs.astype(np.float64), posinf=0, neginf=0), y.astype(np.float64)
    return (np.clip(a, 0, 1), b / 255) if y.dtype == np.uint8 else (a, b)
