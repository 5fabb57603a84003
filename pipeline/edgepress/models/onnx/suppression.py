"""Put the decoding of a detector's heads, and non-maximum suppression, behind the outputs of an ONNX graph.

The nodes are those of `models.decoder`, in float. The graph then has one output of fixed shape, `detections`
(1, most, 6): x0, y0, x1, y1 in pixels of the input, score and class, best first; rows of the class −1 are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ...core.boxes import CLASS, COLUMNS, SCORE
from ..decode import GRID, Decode
from ..decoder import CANDIDATES, LARGEST, anchors, centres, channels_first
from .export import shape

NAME = "detections"
LAST = np.iinfo(np.int64).max
"""End of a Slice that goes to the end."""


def with_suppression(
    model: onnx.ModelProto, decode: Decode, classes: int, size: tuple[int, int]
) -> tuple[onnx.ModelProto, Decode]:
    """Return a copy of `model` whose one output is `detections`, and the description of that."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = _Writer(made)
    heads = _joined(graph, decode, classes)
    boxes, scores = _corners(graph, heads, decode, size), _scores(graph, heads, decode, classes)
    by_class = _candidates(graph, graph.add("Transpose", scores, perm=[0, 2, 1]))
    chosen = graph.add(  # (k, 3): picture, class and place; a box equal to the least score stays, as in the decoder
        "NonMaxSuppression", boxes, by_class, np.array([decode.most], np.int64), np.array([decode.iou], np.float32),
        np.nextafter(np.array([decode.score], np.float32), np.float32(-1)),
    )  # fmt: skip
    place = graph.columns(chosen, 2, 3)
    label = graph.columns(chosen, 1, 2)
    rows = graph.add(
        "Concat",
        _gathered(graph, boxes, place),
        _gathered(graph, by_class, label, place),
        graph.add("Cast", label, to=TensorProto.FLOAT),
        axis=1,
    )
    none = np.zeros((decode.most, COLUMNS), np.float32)
    none[:, SCORE:] = -1
    rows = graph.add("Concat", rows, none, axis=0)
    score = graph.add("Squeeze", graph.columns(rows, SCORE, CLASS), np.array([1], np.int64))
    _, best = graph.many("TopK", score, np.array([decode.most], np.int64), count=2)
    least = np.array([0, 0, 0, 0, 0, -1], np.float32)
    found = graph.add("Max", graph.add("Gather", rows, best, axis=0), least)
    graph.end(graph.add("Reshape", found, np.array([1, decode.most, COLUMNS], np.int64)), [1, decode.most, COLUMNS])
    return made, Decode(coding="detections", boxes=(NAME,), score=decode.score, most=decode.most)


class _Writer:
    """Adds nodes to a graph; arrays among inputs become initializers."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph, self.count = model.graph, 0
        self.shapes = {value.name: shape(value) for value in model.graph.output}

    def many(self, kind: str, *inputs: Any, count: int = 1, **attributes: Any) -> list[str]:
        names = [each if isinstance(each, str) else self._stored(each) for each in inputs]
        outputs = [self._name() for _ in range(count)]
        self.graph.node.append(helper.make_node(kind, names, outputs, name=outputs[0], **attributes))
        return outputs

    def add(self, kind: str, *inputs: Any, **attributes: Any) -> str:
        return self.many(kind, *inputs, **attributes)[0]

    def columns(self, name: str, start: int, end: int) -> str:
        """Return these places of the last axis."""
        return self.add("Slice", name, *(np.array([each], np.int64) for each in (start, end, -1)))

    def end(self, name: str, sides: Sequence[int]) -> None:
        self.graph.node.append(helper.make_node("Identity", [name], [NAME], name=NAME))
        del self.graph.output[:]
        self.graph.output.append(helper.make_tensor_value_info(NAME, TensorProto.FLOAT, sides))

    def _stored(self, array: np.ndarray) -> str:
        name = self._name()
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def _name(self) -> str:
        self.count += 1
        return f"suppression/{self.count}"


def _joined(graph: _Writer, decode: Decode, classes: int) -> str:
    """Return the heads side by side (1, places, columns), as `decoder.joined` does."""
    objectness = () if decode.objectness == "behind" else decode.objectness
    scores = classes + (decode.background is not None)
    kinds = [
        (decode.boxes, decode.numbers if decode.scores else decode.columns(classes) - bool(objectness)),
        (objectness, 1),
        (decode.scores, scores),
    ]
    parts = [_stacked(graph, [_table(graph, name, width) for name in names], 1) for names, width in kinds if names]
    return _stacked(graph, parts, 2)


def _stacked(graph: _Writer, names: list[str], axis: int) -> str:
    return names[0] if len(names) == 1 else graph.add("Concat", *names, axis=axis)


def _table(graph: _Writer, name: str, width: int) -> str:
    sides = graph.shapes[name]
    if len(sides) == 4:
        name = graph.add("Transpose", name, perm=[0, 2, 3, 1]) if channels_first(sides[1:], width) else name
        return graph.add("Reshape", name, np.array([1, -1, width], np.int64))
    if len(sides) == 2:
        return graph.add("Reshape", name, np.array([1, -1, width], np.int64))
    return name if sides[2] == width else graph.add("Transpose", name, perm=[0, 2, 1])


def _corners(graph: _Writer, heads: str, decode: Decode, size: tuple[int, int]) -> str:
    """Return corners (1, places, 4) in pixels, cut at the edge."""
    raw, add = graph.columns(heads, 0, decode.numbers), graph.add
    whole = np.array([size[1], size[0]] * 2, np.float32)
    if decode.coding == "anchors":
        at = anchors(decode, size)
        moved = add("Div", raw, np.array(decode.weights, np.float32))
        middle = add("Add", add("Mul", graph.columns(moved, 0, 2), at[:, 2:]), at[:, :2])
        sides = add("Mul", add("Exp", add("Min", graph.columns(moved, 2, 4), np.float32(LARGEST))), at[:, 2:])
        boxes = _around(graph, middle, sides)
    elif decode.coding in GRID:
        at = centres(decode, size)
        points, stride = at[:, :2], at[:, 2:]
        if decode.coding == "dfl":
            bins = add("Reshape", raw, np.array([1, -1, 4, decode.bins], np.int64))
            means = add("MatMul", add("Softmax", bins, axis=-1), np.arange(decode.bins, dtype=np.float32)[:, None])
            raw = add("Reshape", means, np.array([1, -1, 4], np.int64))
        first, second = (add("Mul", graph.columns(raw, *each), stride) for each in ((0, 2), (2, 4)))
        if decode.coding == "yolox":
            sides = add("Mul", add("Exp", add("Min", graph.columns(raw, 2, 4), np.float32(10))), stride)
            boxes = _around(graph, add("Add", first, points), sides)
        else:
            boxes = add("Concat", add("Sub", points, first), add("Add", points, second), axis=2)
    else:
        boxes = add("Mul", raw, whole) if decode.scale == "shares" else raw
        if decode.coding == "centre":
            boxes = _around(graph, graph.columns(boxes, 0, 2), graph.columns(boxes, 2, 4))
    return add("Min", add("Max", boxes, np.float32(0)), whole)


def _around(graph: _Writer, middle: str, sides: str) -> str:
    half = graph.add("Mul", sides, np.float32(0.5))
    return graph.add("Concat", graph.add("Sub", middle, half), graph.add("Add", middle, half), axis=2)


def _scores(graph: _Writer, heads: str, decode: Decode, classes: int) -> str:
    """Return the score of each class (1, places, classes), from 0 to 1."""
    start, whole = decode.numbers, decode.columns(classes)
    own = graph.columns(heads, start + bool(decode.objectness), whole)
    if decode.activation != "none":
        own = graph.add("Softmax", own, axis=2) if decode.activation == "softmax" else graph.add("Sigmoid", own)
    if decode.background is not None:
        kept = [place for place in range(classes + 1) if place != decode.background]
        own = graph.add("Gather", own, np.array(kept, np.int64), axis=2)
    if decode.objectness:
        any_object = graph.columns(heads, start, start + 1)
        own = graph.add("Mul", own, any_object if decode.activation == "none" else graph.add("Sigmoid", any_object))
    return graph.add("Sqrt", own) if decode.root else own


def _candidates(graph: _Writer, scores: str) -> str:
    """Return the scores with −1 for those that are below the best `CANDIDATES`, as the decoder leaves them out."""
    count = graph.add("Min", graph.add("Size", scores), np.int64(CANDIDATES))
    flat = graph.add("Reshape", scores, np.array([-1], np.int64))
    best, _ = graph.many("TopK", flat, graph.add("Reshape", count, np.array([1], np.int64)), count=2)
    return graph.add("Where", graph.add("Less", scores, graph.columns(best, -1, LAST)), np.float32(-1), scores)


def _gathered(graph: _Writer, values: str, *places: str) -> str:
    """Return values (1, …) of the first picture at `places`, (k, 1) for each axis behind it, as (k, …)."""
    first = graph.add("Squeeze", values, np.array([0], np.int64))
    found = graph.add("GatherND", first, _stacked(graph, list(places), 1))
    return found if len(places) == 1 else graph.add("Unsqueeze", found, np.array([1], np.int64))
