"""Merge several ONNX models into one graph, for members that are files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import compose, helper, numpy_helper, version_converter

from ...core.errors import UserError
from ...models import metadata
from ...models.ensemble import FLOOR, Of
from ...models.onnx import export

if TYPE_CHECKING:
    from ...data.dataset import Dataset


def merged(paths: Sequence[Path], weights: Sequence[float], data: Dataset, of: Of) -> onnx.ModelProto:
    """Return one graph that outputs the weighted mean of the files' outputs, as `ensemble.Ensemble` does.

    The inputs are shared.
    Raises: UserError when a file takes other inputs than the first, or cannot be brought to its operator set.
    """
    models = [onnx.load(path) for path in paths]
    contracts = [metadata.read_onnx(model) for model in models]
    newest = max(map(export.opset, models))
    parts = [_part(model, k, newest) for k, model in enumerate(models)]
    for path, contract in zip(paths, contracts, strict=True):
        if contract["inputs"] != contracts[0]["inputs"]:
            raise UserError(
                f"`{path.name}` takes other inputs than `{paths[0].name}`",
                "export members alike: with or without `embed: [normalize]`",
            )
    nodes, tensors, shares = [], [], []
    link = data.targets.link
    mixed = of == "probabilities" and link != "identity"
    for k, (part, contract) in enumerate(zip(parts, contracts, strict=True)):
        nodes += part.node
        tensors += part.initializer
        output_name = part.output[0].name
        if mixed and contract["outputs"][0]["meaning"] != "probabilities":
            operator = ("Softmax", {"axis": 1}) if link == "softmax" else ("Sigmoid", {})
            nodes.append(helper.make_node(operator[0], [output_name], [f"p{k}"], **operator[1]))
            output_name = f"p{k}"
        if not mixed and link != "identity" and contract["outputs"][0]["meaning"] == "probabilities":
            nodes += _logits(output_name, f"p{k}", link, f"p{k}/")
            output_name = f"p{k}"
        tensors.append(numpy_helper.from_array(np.float32(weights[k]), f"weight{k}"))
        nodes.append(helper.make_node("Mul", [output_name, f"weight{k}"], [f"share{k}"]))
        shares.append(f"share{k}")
    nodes.append(helper.make_node("Sum", shares, ["sum" if mixed else "output"]))
    if mixed:
        nodes += _logits("sum", "output", link)
    if any("least" in node.input for node in nodes):
        tensors += [
            numpy_helper.from_array(np.float32(value), name)
            for name, value in (("least", FLOOR), ("most", 1 - 1e-6), ("one", 1.0))
        ]
    last = parts[0].output[0].type.tensor_type.shape.dim
    output = helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, [dim.dim_value for dim in last])
    graph = helper.make_graph(nodes, "ensemble", list(models[0].graph.input), [output], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", newest)], ir_version=models[0].ir_version)
    inputs = contracts[0]["inputs"]
    metadata.embed(model, metadata.with_outputs(metadata.describe(data) | {"inputs": inputs}, model))
    return model


def _logits(shares: str, made: str, link: str, prefix: str = "") -> list[onnx.NodeProto]:
    """Return nodes that make logits of probabilities; `prefix` is that of the tensors between."""
    mean, yes, rest, no = (f"{prefix}{name}" for name in ("mean", "is", "rest", "is_not"))
    steps = [("Clip", [shares, "least", "most"], mean)]
    if link == "softmax":
        steps += [("Log", [mean], made)]
    else:
        steps += [("Log", [mean], yes), ("Sub", ["one", mean], rest), ("Log", [rest], no), ("Sub", [yes, no], made)]
    return [helper.make_node(kind, taken, [given]) for kind, taken, given in steps]


def _part(model: onnx.ModelProto, number: int, opset: int) -> onnx.GraphProto:
    """Return a member's graph with unique names, except for the inputs, which are named as the first member's."""
    if export.opset(model) != opset:
        try:
            model = version_converter.convert_version(model, opset)
        except RuntimeError as error:
            raise UserError(
                f"a member of operator set {export.opset(model)} cannot be brought to {opset}: {error}",
                "export the members with the same `opset`",
            ) from error
    inputs = [input.name for input in model.graph.input]
    graph = compose.add_prefix(model, f"m{number}/").graph
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name.removeprefix(f"m{number}/") in inputs:
                node.input[index] = name.removeprefix(f"m{number}/")
    return graph
