"""Every integer operator of a QDQ graph by itself, on the graph's own integers: ONNX's answer and TFLite's.

Two runtimes that round one number of a deep network differently answer differently at its end, for every rounding after
it is another. Here no error comes to the next operator.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import onnx
from edgepress.models.tflite.convert import layouts, write
from edgepress.models.tflite.ops.table import INTEGER
from edgepress.models.tflite.reader import read
from onnx import TensorProto, helper


class Segment(NamedTuple):
    """From integer tensors to one integer tensor, with float between."""

    operator: str
    inputs: list[str]
    output: str
    model: onnx.ModelProto


def segments(model: onnx.ModelProto) -> Iterator[Segment]:
    """One for each QuantizeLinear that makes a tensor of the TFLite file, from other tensors of the file."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes = {v.name: v.type.tensor_type for v in (*graph.value_info, *graph.input, *graph.output)}
    makers = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    kept = {name for node in read(model, INTEGER).nodes for name in node.outputs}
    order = {id(node): index for index, node in enumerate(graph.node)}

    for last in [node for node in graph.node if node.op_type == "QuantizeLinear" and node.output[0] in kept]:
        inputs: list[str] = []
        nodes = {id(last): last}
        waiting = [name for name in last.input if name]
        whole = True
        while waiting:
            name = waiting.pop()
            maker = makers.get(name)
            if name in constants:
                continue
            if maker is None:
                whole = False
                break
            if id(maker) in nodes:
                continue
            nodes[id(maker)] = maker
            if maker.op_type == "DequantizeLinear" and maker.input[0] in kept:
                inputs.append(maker.input[0])
                waiting.extend(maker.input[1:])
            else:
                waiting.extend(each for each in maker.input if each)
        if not whole or not inputs or last.output[0] not in shapes:
            continue
        chosen = sorted(nodes.values(), key=lambda node: order[id(node)])
        used = {name for node in chosen for name in node.input}

        def value(name: str) -> Any:
            sizes = [axis.dim_value for axis in shapes[name].shape.dim]
            return helper.make_tensor_value_info(name, TensorProto.INT8, sizes)

        inputs = list(dict.fromkeys(inputs))
        inner = [v for v in graph.value_info if v.name in {name for node in chosen for name in node.output}]
        made = helper.make_graph(
            chosen, "segment", [value(name) for name in inputs], [value(last.output[0])],
            [constants[name] for name in used if name in constants], value_info=inner,
        )  # fmt: skip
        kind = next((node.op_type for node in reversed(chosen[:-1]) if node.op_type != "DequantizeLinear"), "Quantize")
        yield Segment(kind, inputs, last.output[0], helper.make_model(made, opset_imports=model.opset_import))


def compared(model: onnx.ModelProto, images: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """(operator, steps between TFLite's integers and onnxruntime's) of every segment, on LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    parts = list(segments(model))
    wanted = sorted({name for part in parts for name in (*part.inputs, part.output)})
    integers = [_integers(model, wanted, image) for image in images]
    found = []
    for part in parts:
        orders = layouts(part.model)
        interpreter = Interpreter(model_content=write(part.model, {}), num_threads=1)
        interpreter.allocate_tensors()
        details = {each["name"]: each["index"] for each in interpreter.get_input_details()}
        result = interpreter.get_output_details()[0]["index"]
        off = []
        for given in integers:
            for name in part.inputs:
                moved = given[name] if orders[name] == "same" else np.moveaxis(given[name], 1, -1)
                interpreter.set_tensor(details[name], np.ascontiguousarray(moved))
            interpreter.invoke()
            expected = given[part.output]
            expected = np.moveaxis(expected, 1, -1) if expected.ndim == 4 else expected
            off.append(np.abs(interpreter.get_tensor(result).astype(np.int16) - expected))
        found.append((part.operator, np.stack(off)))
    return found


def _integers(model: onnx.ModelProto, names: list[str], image: np.ndarray) -> dict[str, np.ndarray]:
    """Tensors of the graph as it is written, for one image."""
    import onnxruntime

    told = onnx.ModelProto()
    told.CopyFrom(model)
    told.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.INT8, None) for name in names)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(told.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: image[None]}), strict=True))
