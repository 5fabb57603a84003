"""Pad with values that a maximum never picks."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

_NEVER = -1e8
"""Values from which down a pad is there to be never the largest."""


def pooled(model: onnx.ModelProto) -> onnx.ModelProto:
    """Move a Pad of the lowest numbers, or −∞, into the MaxPool after it, whose own padding is −∞.

    The answers are the same, and no range has to hold the pad. A Pad that others read as well, that reaches beyond the
    pixels, or leaves a window without a pixel stays as it is. Changes `model`.
    """
    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    constants = tensors | {node.output[0]: node.attribute[0].t for node in graph.node if node.op_type == "Constant"}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outputs = {value.name for value in graph.output}
    for pad in [node for node in graph.node if node.op_type == "Pad"]:
        pools, widths = readers.get(pad.output[0], []), _widths(pad, constants)
        fits = [_with_pads(pool, widths) for pool in pools] if widths is not None else []
        if pad.output[0] in outputs or not fits or not all(fits):
            continue
        for pool, pads in zip(pools, fits, strict=True):
            attributes = [item for item in pool.attribute if item.name != "pads"]
            del pool.attribute[:]
            pool.attribute.extend([*attributes, helper.make_attribute("pads", pads)])
            pool.input[0] = pad.input[0]
        graph.node.remove(pad)
    return model


def _widths(pad: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> list[int] | None:
    """Return `pads` of a Pad of the lowest numbers; None for any other."""
    options = {item.name: helper.get_attribute_value(item) for item in pad.attribute}
    if options.get("mode", b"constant") != b"constant" or len(pad.input) < 3 or any(pad.input[3:]):
        return None
    if not all(name in constants for name in pad.input[1:3]):
        return None
    widths, value = (numpy_helper.to_array(constants[name]) for name in pad.input[1:3])
    never = value.dtype.kind == "f" and value.size == 1 and float(np.asarray(value).item()) <= _NEVER
    return [int(item) for item in widths] if never and (widths >= 0).all() else None


def _with_pads(pool: onnx.NodeProto, widths: list[int]) -> list[int] | None:
    """Return the pads of a MaxPool with those of a Pad before it; None where it cannot have them."""
    options = {item.name: helper.get_attribute_value(item) for item in pool.attribute}
    if pool.op_type != "MaxPool" or len(pool.output) > 1 or options.get("ceil_mode", 0):
        return None
    kernel = options["kernel_shape"]
    axes, rank = len(kernel), len(widths) // 2
    own = options.get("pads", [0] * 2 * axes)
    outside = [*widths[: rank - axes], *widths[rank : 2 * rank - axes]]
    if rank != axes + 2 or any(outside) or options.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        return None
    pads = [a + b for a, b in zip(own, [*widths[2:rank], *widths[rank + 2 :]], strict=True)]
    return pads if all(item < size for item, size in zip(pads, [*kernel, *kernel], strict=True)) else None
