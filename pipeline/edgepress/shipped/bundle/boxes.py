"""Turn the outputs of a detector into boxes, as `decode` of model.json describes; numpy alone.

Each place of a map has the numbers of one box, coded as one of these, and a score for each class:

anchors    x, y, width and height as offsets of an anchor box: SSD
distances  to left, top, right and bottom from a centre point, in strides: FCOS
dfl        the same four, each the mean of a softmax over `bins`: YOLOv8, YOLO11
yolox      offset from a grid cell and logarithm of the sides, in strides: YOLOX
corners, centre   decoded in the file: x0, y0, x1, y1, or x, y, width, height
detections x0, y0, x1, y1, score and class: nothing is to be suppressed
"""

import numpy as np

CANDIDATES = 400  # of a picture, the best that suppression looks at
LARGEST = {"anchors": 4.135, "yolox": 10}  # of the logarithm of a side


def detections(arrays, how, classes, size):
    """Return x0, y0, x1, y1, score and class (n, 6), the best first, in pixels of the input of `size`, (height, width).

    `arrays` are the outputs by name: maps (columns, height, width) or tables, whose axis of places is either one.
    """
    if how["coding"] == "detections":
        return _ready(_table(arrays, how["boxes"], 6), how, classes, size)
    numbers, columns = 4 * how["bins"] if how["coding"] == "dfl" else 4, classes + (how["background"] is not None)
    behind = how["objectness"] == "behind"
    heads = [_table(arrays, how["boxes"], numbers + behind + (0 if how["scores"] else columns))]
    heads += [_table(arrays, how["objectness"], 1)] if how["objectness"] and not behind else []
    heads += [_table(arrays, how["scores"], columns)] if how["scores"] else []
    raw, rest = np.split(np.concatenate(heads, 1), [numbers], 1)
    edge = np.float32([size[1], size[0]] * 2)
    with np.errstate(over="ignore", invalid="ignore"):
        boxes, scores = np.clip(_corners(raw, how, size, edge), 0, edge), _scores(rest, how)
    place, label = np.nonzero((scores >= how["score"]) & np.isfinite(boxes).all(1)[:, None])
    best = np.argsort(-scores[place, label], kind="stable")[:CANDIDATES]
    found = np.column_stack([boxes[place], scores[place, label], label])[best]
    kept = []
    while len(found) and len(kept) < how["most"]:
        kept.append(found[0])
        found = found[1:]
        found = found[(found[:, 5] != kept[-1][5]) | (_ious(kept[-1], found) <= how["iou"])]
    return np.float32(kept).reshape(-1, 6)


def _ready(rows, how, classes, size):
    edge = np.float32([size[1], size[0]] * 2)
    boxes = np.clip(rows[:, :4] * edge if how["scale"] == "shares" else rows[:, :4], 0, edge)
    rows = np.concatenate([boxes, rows[:, 4:]], 1)
    known = (rows[:, 5] >= 0) & (rows[:, 5] < classes)
    rows = rows[np.isfinite(rows).all(1) & (rows[:, 4] >= how["score"]) & known]
    return rows[np.argsort(-rows[:, 4], kind="stable")][: how["most"]]


def on_picture(box, size, picture, resize):
    """Return a box in pixels of the picture (height, width) that was resized to `size` by `crop`, `squash` or `pad`."""
    steps = [whole / side for whole, side in zip(picture, size)]
    if resize != "squash":
        steps = [(max if resize == "pad" else min)(steps)] * 2
    down, across = ((whole - side * step) / 2 for whole, side, step in zip(picture, size, steps))
    corners = np.asarray(box) * np.float32(steps[::-1] * 2) + np.float32([across, down] * 2)
    return np.clip(corners, 0, np.float32([picture[1], picture[0]] * 2))


def _table(arrays, names, width):
    parts = []
    for name in names:
        head = arrays[name]
        if head.ndim == 3:
            first, rows, last = head.shape  # numbers along the first side, or the last where its map is square
            channels_first = first % width == 0 and not (last % width == 0 and first == rows != last)
            head = (np.moveaxis(head, 0, 2) if channels_first else head).reshape(-1, width)
        head = head[:, None] if head.ndim == 1 else head
        parts.append(head if head.shape[1] == width else head.T)
    return np.concatenate(parts).astype(np.float32)


def _corners(raw, how, size, edge):
    coding = how["coding"]
    if coding == "anchors":
        at = np.concatenate([_anchors(level, how, size) for level in how["levels"]]).astype(np.float32)
        raw = raw / np.float32(how["weights"])
        sides = at[:, 2:] * np.exp(np.minimum(raw[:, 2:], LARGEST[coding]))
        return _around(at[:, :2] + raw[:, :2] * at[:, 2:], sides)
    if coding in ("corners", "centre"):
        raw = raw * edge if how["scale"] == "shares" else raw
        return raw if coding == "corners" else _around(raw[:, :2], raw[:, 2:])
    shift = how["offset"] if how["offset"] is not None else 0.0 if coding == "yolox" else 0.5
    grids = [_grid([-(-side // stride) for side in size], shift) * stride for stride in how["strides"]]
    stride = np.float32(np.repeat(how["strides"], [len(grid) for grid in grids]))[:, None]
    at = np.concatenate(grids).astype(np.float32)
    if coding == "yolox":
        return _around(at + raw[:, :2] * stride, np.exp(np.minimum(raw[:, 2:], LARGEST[coding])) * stride)
    if coding == "dfl":
        raw = _softmax(raw.reshape(-1, 4, how["bins"])) @ np.arange(how["bins"], dtype=np.float32)
    return np.concatenate([at - raw[:, :2] * stride, at + raw[:, 2:] * stride], 1)


def _grid(cells, shift):
    return np.stack(np.meshgrid(np.arange(cells[1]) + shift, np.arange(cells[0]) + shift), -1).reshape(-1, 2)


def _anchors(level, how, size):
    shift = 0.5 if how["offset"] is None else how["offset"]
    middle = _grid(level["cells"], shift) * [size[1] / level["cells"][1], size[0] / level["cells"][0]]
    count = len(level["sizes"])
    return np.concatenate([np.repeat(middle, count, 0), np.tile(level["sizes"], (len(middle), 1))], 1)


def _scores(rest, how):
    count = bool(how["objectness"])
    activation = {"softmax": _softmax, "sigmoid": _sigmoid, "none": np.asarray}[how["activation"]]
    values = activation(rest[:, count:])
    if how["background"] is not None:
        values = np.delete(values, how["background"], 1)
    if count:
        values = values * (rest[:, :1] if how["activation"] == "none" else _sigmoid(rest[:, :1]))
    return np.sqrt(values) if how["root"] else values


def _ious(one, others):
    low, high = np.maximum(one[:2], others[:, :2]), np.minimum(one[2:4], others[:, 2:4])
    shared = np.maximum(high - low, 0).prod(1)
    areas = [(boxes[..., 2:4] - boxes[..., :2]).prod(-1) for boxes in (one, others)]
    return shared / np.maximum(areas[0] + areas[1] - shared, 1e-9)


def _around(middle, sides):
    return np.concatenate([middle - sides / 2, middle + sides / 2], 1)


def _softmax(values):
    powers = np.exp(values - values.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _sigmoid(values):
    return 1 / (1 + np.exp(-values))
