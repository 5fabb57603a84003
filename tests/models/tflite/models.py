"""ONNX graphs made on the spot, their int8 forms, and their answers in onnxruntime and both TFLite runtimes."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from edgepress.core.machine import machine
from edgepress.core.presets import saturates
from edgepress.core.runtimes import RUNTIMES as RUNTIME_ROWS
from edgepress.models.tflite.convert import write
from onnx import TensorProto, helper, numpy_helper

_ABSENT = RUNTIME_ROWS["tflite-runtime"].absent()
RUNTIMES = ["ai_edge_litert", *([] if _ABSENT else ["tflite_runtime"])]
COMPATIBLE = pytest.mark.skipif(_ABSENT is not None, reason=_ABSENT.message if _ABSENT else "")
"""For a test that needs tflite-runtime."""
EVERY = ["ai_edge_litert", pytest.param("tflite_runtime", marks=COMPATIBLE)]
"""The runtimes for `parametrize`, so that an absent one is skipped with the reason."""
Step = tuple[str, Sequence[Any], dict[str, Any]]


def graph(shape: Sequence[int], *steps: Step, dtype: int = TensorProto.FLOAT, opset: int = 18) -> onnx.ModelProto:
    """A model from `input` to `output`.

    A step is (operator, inputs, attributes); its inputs are arrays, `-1` for the result before, `0` for the graph's
    input and `n` for the result of step n. The output's shape is inferred.
    """
    names, nodes, weights = ["input"], [], []
    for number, (operator, inputs, attributes) in enumerate(steps, 1):
        arguments = []
        for position, given in enumerate(inputs):
            if isinstance(given, int):
                arguments.append(names[given])
            elif given is None:
                arguments.append("")
            else:
                arguments.append(f"constant_{number}_{position}")
                weights.append(numpy_helper.from_array(np.asarray(given), arguments[-1]))
        names.append("output" if number == len(steps) else f"{operator.lower()}_{number}")
        nodes.append(helper.make_node(operator, arguments, [names[-1]], name=f"node_{number}", **attributes))
    made = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("input", dtype, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)],
        weights,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def weights(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers whose size differs much from output to output, so that scales per channel matter."""
    random = np.random.default_rng(seed)
    spread = np.exp(random.normal(0, 0.7, (shape[0],) + (1,) * (len(shape) - 1)))
    return (random.normal(0, 1, shape) * spread / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def inputs(model: onnx.ModelProto, count: int = 4, seed: int = 1) -> np.ndarray:
    shape = [size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim]
    return np.random.default_rng(seed).normal(0.3, 1.5, (count, *shape[1:])).astype(np.float32)


Feed = dict[str, np.ndarray]


def feeds(model: onnx.ModelProto, count: int, seed: int = 1, ids: int = 30) -> list[Feed]:
    """Random numbers for every input of the graph, or ids below `ids` for integers."""
    random = np.random.default_rng(seed)

    def one(value: onnx.ValueInfoProto) -> np.ndarray:
        shape = [size.dim_value for size in value.type.tensor_type.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        numbers = random.integers(0, ids, shape) if dtype.kind == "i" else random.normal(0.3, 1.5, shape)
        return np.asarray(numbers, dtype)

    return [{value.name: one(value) for value in model.graph.input} for _ in range(count)]


def quantized(model: onnx.ModelProto, samples: np.ndarray | list[Feed], per_channel: bool = True) -> onnx.ModelProto:
    """QDQ int8 as the pipeline's `xnnpack` preset, with ranges from samples of the one input or of all."""
    from onnxruntime import quantization as ort

    class Reader(ort.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.feeds = (
                each if isinstance(each, dict) else {model.graph.input[0].name: each[None]} for each in samples
            )

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.feeds, None)

    logging.getLogger().setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        source, prepared, result = (Path(folder, name) for name in ("a.onnx", "b.onnx", "c.onnx"))
        onnx.save(model, source)
        ort.quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        ort.quantize_static(
            str(prepared),
            str(result),
            Reader(),
            quant_format=ort.QuantFormat.QDQ,
            activation_type=ort.QuantType.QInt8,
            weight_type=ort.QuantType.QInt8,
            per_channel=per_channel,
            extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
        )
        return onnx.load(result)


def in_onnxruntime(model: onnx.ModelProto, samples: np.ndarray, as_written: bool = False) -> np.ndarray:
    """Answers with images in the TFLite file's order, NHWC; `as_written` without onnxruntime's own changes."""
    name = model.graph.input[0].name
    return np.concatenate(
        [channels_last(each) for each in _onnxruntime(model, [{name: sample[None]} for sample in samples], as_written)]
    )


def answers(model: onnx.ModelProto, samples: list[Feed], as_written: bool = False) -> np.ndarray:
    """onnxruntime's, of any inputs, one after the other along a new first axis; images in the file's order."""
    return np.stack([channels_last(each) for each in _onnxruntime(model, samples, as_written)])


def answers_of_file(data: bytes, orders: dict[str, str], samples: list[Feed], runtime: str) -> np.ndarray:
    """As `answers`; `orders` says how the file wants the inputs' axes."""
    interpreter = open_file(data, runtime)
    interpreter.allocate_tensors()
    details = {each["name"]: each for each in interpreter.get_input_details()}
    found = []
    for feed in samples:
        for name, values in feed.items():
            ordered = values if orders[name] == "same" else np.moveaxis(values, 1, -1)
            interpreter.set_tensor(details[name]["index"], np.ascontiguousarray(ordered, details[name]["dtype"]))
        interpreter.invoke()
        found.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).copy())
    return np.stack(found)


def _onnxruntime(model: onnx.ModelProto, samples: list[Feed], as_written: bool) -> list[np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    if saturates(machine()):
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    if as_written:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [session.run(None, feed)[0] for feed in samples]


def in_tflite(data: bytes, samples: np.ndarray, runtime: str) -> np.ndarray:
    interpreter = open_file(data, runtime)
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    answers = []
    for sample in samples:
        interpreter.set_tensor(source, channels_last(sample[None]))
        interpreter.invoke()
        answers.append(interpreter.get_tensor(result).copy())
    return np.concatenate(answers)


def open_file(data: bytes, runtime: str = RUNTIMES[0]) -> Any:
    if runtime == "tflite_runtime":
        from tflite_runtime.interpreter import Interpreter
    else:
        from ai_edge_litert.interpreter import Interpreter
    return Interpreter(model_content=data, num_threads=1)


def operators(data: bytes) -> list[tuple[str, int]]:
    """Name and version of the file's operators, in order."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(data)
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    codes = [model.operatorCodes[each.opcodeIndex] for each in model.subgraphs[0].operators]
    return [(names[code.builtinCode], code.version) for code in codes]


def channels_last(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1)) if array.ndim == 4 else array


def step(model: onnx.ModelProto) -> float:
    """One step of the quantized model's output."""
    maker = next(node for node in model.graph.node if "output" in node.output)
    scale = next(each for each in model.graph.initializer if each.name == maker.input[1])
    return float(numpy_helper.to_array(scale))


def steps_off(model: onnx.ModelProto, samples: np.ndarray, runtime: str, as_written: bool = False) -> np.ndarray:
    """By how many steps of the output each number differs from onnxruntime's."""
    difference = in_tflite(write(model, {}), samples, runtime) - in_onnxruntime(model, samples, as_written)
    return np.asarray(np.rint(np.abs(difference) / step(model)))
