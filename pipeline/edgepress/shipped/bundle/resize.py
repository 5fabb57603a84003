"""Resize a picture as in training: bilinear with antialiasing, as Pillow and torchvision do.

A camera or a graphics processor may do it instead. What has the right size stays as it is.
"""

import numpy as np


def resized(picture, size, how):
    """Return uint8 (*size, channels) of a picture (height, width, channels).

    `crop` keeps the middle, `squash` distorts, `pad` puts all of it in the middle of black.
    """
    height, width = size
    high, wide = picture.shape[:2]
    if (high, wide) == (height, width):
        return picture
    if how == "squash":
        return _scaled(picture, height, width)
    choose = min if how == "pad" else max
    if choose(height / high, width / wide) == height / high:
        inner = height, max(1, height * wide // high)
    else:
        inner = max(1, width * high // wide), width
    picture = _scaled(picture, *inner)
    if how == "pad":
        top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
        padded = np.zeros((height, width, picture.shape[2]), picture.dtype)
        padded[top : top + inner[0], left : left + inner[1]] = picture
        return padded
    top, left = round((inner[0] - height) / 2), round((inner[1] - width) / 2)
    return picture[top : top + height, left : left + width]


def _scaled(picture, height, width):
    for axis, size in ((1, width), (0, height)):
        if picture.shape[axis] != size:
            blended = np.tensordot(_weights(picture.shape[axis], size), picture.astype(np.float32), (1, axis))
            picture = np.clip(np.rint(np.moveaxis(blended, 0, axis)), 0, 255).astype(np.uint8)
    return picture


def _weights(before, after):
    """Return (after, before): a triangle around each new pixel's centre, as wide as the step where it shrinks."""
    step = before / after
    centres = (np.arange(after) + 0.5) * step
    distance = np.abs(np.arange(before) + 0.5 - centres[:, None]) / max(step, 1)
    weights = np.maximum(0, 1 - distance)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)
