"""Resize a picture as in training: bilinear with antialiasing, as Pillow and torchvision do.

A camera or a graphics processor may do it instead. What has the right size stays as it is.
"""

import numpy as np

LONGEST = 8


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
    if how == "crop":  # most of a very long picture is cut off before it is resized
        most = LONGEST * -(-wide * height // width), LONGEST * -(-high * width // height)
        picture = _middle(picture, min(high, most[0]), min(wide, most[1]))
        high, wide = picture.shape[:2]
    choose = min if how == "pad" else max
    if choose(height / high, width / wide) == height / high:
        picture = _scaled(picture, height, max(1, height * wide // high))
    else:
        picture = _scaled(picture, max(1, width * high // wide), width)
    if how == "crop":
        return _middle(picture, height, width)
    top, left = (height - picture.shape[0]) // 2, (width - picture.shape[1]) // 2
    padded = np.zeros((height, width, picture.shape[2]), picture.dtype)
    padded[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return padded


def _middle(picture, height, width):
    top, left = (round((whole - part) / 2) for whole, part in zip(picture.shape, (height, width)))
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
