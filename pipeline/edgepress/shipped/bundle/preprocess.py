"""Make the model's inputs of raw values, and read its outputs, as model.json describes them; numpy alone.

A raw image is uint8 (height, width, channels) of any size, a series (channels, length), numbers (columns,) and tokens
(length,).
"""

import json
from pathlib import Path

import numpy as np
from resize import resized

MODEL = json.loads((Path(__file__).parent / "model.json").read_text(encoding="utf-8"))


def preprocess(*raws):
    """Return an array (1, …) for each input of the model."""
    if len(raws) != len(MODEL["inputs"]):
        raise ValueError(f"the model has {len(MODEL['inputs'])} inputs, and here are {len(raws)}")
    return [_prepared(np.asarray(raw), entry) for raw, entry in zip(raws, MODEL["inputs"])]


def _prepared(x, entry):
    if entry["kind"] == "image":
        x = resized(x.reshape(*x.shape[:2], -1), entry["size"], entry["resize"] or "crop").transpose(2, 0, 1)
    channels_last = entry["layout"] in ("NHWC", "NLC")
    shape = entry["shape"][1:]
    expected = [shape[-1], *shape[:-1]] if channels_last else shape
    if list(x.shape) != expected:
        raise ValueError(f"input `{entry['name']}` is {list(x.shape)}, and the model takes {expected}")
    if entry.get("mean"):  # without these the file normalizes by itself
        mean, std = (np.float32(entry[name]).reshape(-1, *[1] * (x.ndim - 1)) for name in ("mean", "std"))
        x = x.astype(np.float32)
        x = x / np.float32(255) if entry["scale"] == 1 / 255 else x * np.float32(entry["scale"])
        x = (x - mean) / std
    if entry["dtype"] == "int8":
        quantization = entry["quantization"]
        x = np.rint(x / np.float32(quantization["scale"])) + quantization["zero_point"]
        x = np.clip(x, -128, 127)
    return np.ascontiguousarray((np.moveaxis(x, 0, -1) if channels_last else x)[None], entry["dtype"])


def decode(*outputs):
    """Return what the outputs mean.

    Classes: [(label, score), …], the best first. Quantities: {label: value}. Masks: class numbers (height, width) of
    `MODEL["labels"]`. Key points: {label: (x, y)} as shares of the picture. Embeddings: a vector of length 1. Pictures:
    (channels, height, width), shares of 255 where they were trained on pixels. Boxes, in pixels of the input, the best
    first: [(label, score, [x0, y0, x1, y1]), …]. Anything else, which nobody has described: {name: array}.
    """
    arrays = {entry["name"]: _real(output, entry) for output, entry in zip(outputs, MODEL["outputs"])}
    y, meaning = next(iter(arrays.values())), MODEL["outputs"][0]["meaning"]
    task, labels = MODEL["task"], MODEL["labels"]
    if "decode" in MODEL:
        from boxes import detections

        found = detections(arrays, MODEL["decode"], len(labels), MODEL["inputs"][0]["size"])
        return [(labels[int(row[5])], float(row[4]), row[:4].tolist()) for row in found]
    if len(arrays) > 1 or meaning == "raw" or not (labels or task in ("embedding", "image")):
        return arrays
    if task in ("single-label", "multi-label"):
        y = y.reshape(-1)
        if meaning == "logits":
            y = np.exp(y - y.max()) / np.exp(y - y.max()).sum() if task == "single-label" else 1 / (1 + np.exp(-y))
        return sorted(zip(labels, y.tolist()), key=lambda pair: -pair[1])
    if task == "regression":
        return dict(zip(labels, y.reshape(-1).tolist()))
    if task == "segmentation":
        return y.argmax(0)
    if task == "keypoints":
        return dict(zip(labels, map(_place, y)))
    return y / np.linalg.norm(y) if task == "embedding" else y


def _real(output, entry):
    """Return an output without its batch, channels first, integers with a scale multiplied out."""
    y = np.asarray(output)
    y = y[0] if y.ndim and len(y) == 1 else y
    y = np.moveaxis(y, -1, 0) if entry.get("layout") == "NHWC" else y
    scale = entry.get("quantization")
    return (y - np.float32(scale["zero_point"])) * np.float32(scale["scale"]) if scale else y


def _place(heatmap):
    """Return the highest cell, moved towards its higher neighbours by a quarter of a cell (Newell et al., 2016)."""
    place = []
    at = np.unravel_index(heatmap.argmax(), heatmap.shape)
    for axis in (1, 0):
        line = heatmap[at[0]] if axis else heatmap[:, at[1]]
        inside = 0 < at[axis] < len(line) - 1
        quarter = np.sign(line[at[axis] + 1] - line[at[axis] - 1]) / 4 if inside else 0
        place.append(float((at[axis] + 0.5 + quarter) / len(line)))
    return tuple(place)
