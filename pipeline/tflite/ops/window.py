"""Where a sliding window starts and ends: ONNX's pads as TFLite's SAME, VALID, or an explicit PAD before VALID."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from ..graph import Node
from ..lowering import IMAGE, Lowering, refusal

Pads = list[tuple[int, int]]


@dataclass(frozen=True)
class Window:
    """A kernel's walk over an image; two numbers, for rows and for columns, in each list.

    `pads` are those that a window reaches; `same` says that they are what TensorFlow's SAME puts there.
    """

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    pads: Pads
    same: bool

    @property
    def padded(self) -> bool:
        return any(map(any, self.pads))

    @property
    def padding(self) -> int:
        return int(schema.Padding.SAME if self.same else schema.Padding.VALID)

    @classmethod
    def of(cls, lowering: Lowering, node: Node, kernel: list[int]) -> Window:
        """The trailing pad follows from the result's size, which covers `ceil_mode` and pads that no window reaches."""
        if len(lowering.shape(node)) != IMAGE:
            raise refusal(
                node,
                f"its input has the shape {list(lowering.shape(node))}, and only images (N, C, H, W) are in the set",
                "write a 1-D network with a height of 1: (N, C, 1, W)",
            )
        explicit = node.attributes.get("pads", [0, 0, 0, 0])
        strides = node.attributes.get("strides", [1, 1])
        dilations = node.attributes.get("dilations", [1, 1])
        mode = node.attributes.get("auto_pad", b"NOTSET").decode()
        pads: Pads = []
        same = True
        for axis in range(2):
            size, result = lowering.shape(node)[2 + axis], lowering.output_shape(node)[2 + axis]
            missing = (result - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1 - size
            total = max(missing, 0)
            leading = {"VALID": 0, "SAME_UPPER": total // 2, "SAME_LOWER": -(-total // 2)}
            before = leading.get(mode, explicit[axis])
            pads.append((before, max(missing - before, 0)))
            same = same and result == -(-size // strides[axis]) and pads[axis] == (total // 2, -(-total // 2))
        return cls(kernel, strides, dilations, pads, same)


def pad(lowering: Lowering, tensor: int, pads: Pads, lowest: bool = False) -> int:
    """The NHWC tensor with zeros, or its type's lowest value, around it."""
    quantization = lowering.file.quantization(tensor)
    batch, height, width, channels = lowering.file.shape(tensor)
    shape = (batch, height + sum(pads[0]), width + sum(pads[1]), channels)
    result = lowering.file.tensor("padded", shape, quantization=quantization)
    widths = lowering.indices([(0, 0), *pads, (0, 0)])
    version = 2 if quantization else 1
    if not lowest:
        lowering.file.operator("PAD", version, [tensor, widths], [result], schema.PadOptionsT())
        return result
    value: Any = np.array([-128], np.int8) if quantization else np.array([-np.inf], np.float32)
    filler = lowering.file.constant("lowest", value, quantization)
    lowering.file.operator("PADV2", version, [tensor, widths, filler], [result], schema.PadV2OptionsT())
    return result
