"""Pooling and means."""

from __future__ import annotations

from typing import Any

from ai_edge_litert import schema_py_generated as schema

from ..graph import Node
from ..lowering import IMAGE, TO_NHWC, Lowering, refusal
from .window import Window, pad


def max_pool(lowering: Lowering, node: Node) -> None:
    window = _window(lowering, node)
    tensor = lowering.input(node)
    if window.padded and not window.same:
        tensor = pad(lowering, tensor, window.pads, lowest=True)
    lowering.emit_scaled(node, "MAX_POOL_2D", [tensor], lowering.file.quantization(tensor), _options(window))


def average_pool(lowering: Lowering, node: Node) -> None:
    window = _window(lowering, node)
    tensor = lowering.input(node)
    if window.padded and not (window.same and not node.attributes.get("count_include_pad", 0)):
        raise refusal(
            node,
            f"it pads {window.pads}, and TFLite averages only without pads, or over what lies inside SAME's",
            "pool without padding, or with `count_include_pad=False` and an odd kernel at stride 1",
        )
    lowering.emit_scaled(node, "AVERAGE_POOL_2D", [tensor], lowering.file.quantization(tensor), _options(window))


def global_average(lowering: Lowering, node: Node) -> None:
    if len(lowering.shape(node)) != IMAGE:
        raise refusal(node, "only images (N, C, H, W) are in the set", "write a 1-D network with a height of 1")
    _mean(lowering, node, [1, 2], keep=True)


def reduce_mean(lowering: Lowering, node: Node) -> None:
    """The axes are an input since operator set 18, an attribute before."""
    rank = len(lowering.shape(node))
    given = lowering.optional(node, 1)
    listed = given.values.tolist() if given else node.attributes.get("axes", range(rank))
    axes = [axis % rank for axis in listed]
    keep = bool(node.attributes.get("keepdims", 1))
    if rank == IMAGE:
        left = [axis for axis in TO_NHWC if axis not in axes]
        if not keep and left != sorted(left):
            raise refusal(
                node, f"the mean over axes {axes} leaves channels in the middle", "keep the axes: `keepdim=True`"
            )
        axes = [TO_NHWC.index(axis) for axis in axes]
    _mean(lowering, node, sorted(axes), keep)


def _mean(lowering: Lowering, node: Node, axes: list[int], keep: bool) -> None:
    lowering.emit(node, "MEAN", [lowering.input(node), lowering.indices(axes)], schema.ReducerOptionsT(keepDims=keep))


def _window(lowering: Lowering, node: Node) -> Window:
    if max(node.attributes.get("dilations", [1])) > 1:
        raise refusal(node, "TFLite has no dilated pooling", "pool with `dilation=1`")
    return Window.of(lowering, node, node.attributes["kernel_shape"])


def _options(window: Window) -> Any:
    return schema.Pool2DOptionsT(
        padding=window.padding,
        strideH=window.strides[0],
        strideW=window.strides[1],
        filterHeight=window.kernel[0],
        filterWidth=window.kernel[1],
    )
