"""Score pictures (n, channels, h, w) against pictures; uint8 targets of 0 to 255 are 0 to 1."""

from __future__ import annotations

import numpy as np

MOST = 100.0
"""Decibels of a picture that is exact, as far as float32 tells."""
_SIGMA, _RADIUS = 1.5, 5
"""Of the Gaussian window of 11 pixels (Wang et al., 2004)."""
_K = (0.01, 0.03)


def scaled(y: np.ndarray) -> np.ndarray:
    """Return targets in the unit of outputs, as float64."""
    return y / 255 if y.dtype == np.uint8 else y.astype(np.float64)


def decibels(outputs: np.ndarray, y: np.ndarray, peak: float = 1.0) -> np.ndarray:
    """Return (n, 2): 10 · log10(peak² / mean squared error) of each picture, at most `MOST`, and 1."""
    errors = np.square(outputs - scaled(y)).mean((1, 2, 3))
    values = 10 * np.log10(peak**2 / np.maximum(errors, peak**2 * 10 ** (-MOST / 10)))
    return np.stack([values, np.ones(len(y))], 1)


def structure(outputs: np.ndarray, y: np.ndarray, peak: float = 1.0) -> np.ndarray:
    """Return (n, 2): the structural similarity of each picture, mean over channels and pixels, and 1.

    "Image Quality Assessment: From Error Visibility to Structural Similarity" (Wang et al., 2004), equation 13. A
    border where the window leaves the picture does not count, where any pixels are left.
    """
    from scipy.ndimage import gaussian_filter

    def mean(values: np.ndarray) -> np.ndarray:
        return np.asarray(gaussian_filter(values, _SIGMA, radius=_RADIUS, axes=(2, 3)))

    a, b = outputs.astype(np.float64), scaled(y)
    c1, c2 = ((k * peak) ** 2 for k in _K)
    mean_a, mean_b = mean(a), mean(b)
    variances = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    likeness = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    likeness /= (mean_a**2 + mean_b**2 + c1) * (variances + c2)
    inner = [slice(_RADIUS, -_RADIUS) if side > 2 * _RADIUS else slice(None) for side in a.shape[2:]]
    values = likeness[:, :, *inner].mean((1, 2, 3))
    return np.stack([np.nan_to_num(values), np.ones(len(y))], 1)
