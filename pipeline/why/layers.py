"""The layers of a model file: what each costs in time and bytes, by the runtime's own profile where it has one."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .. import children
from ..errors import UserError
from . import profile

SECONDS = 2.0
MOVES = ("QuantizeLinear", "DequantizeLinear", "Cast", "Transpose", "Reshape", "ReorderInput", "ReorderOutput",
         "QUANTIZE", "DEQUANTIZE", "CAST", "TRANSPOSE", "RESHAPE", "Squeeze", "Unsqueeze", "Flatten")  # fmt: skip
"""Operators that compute nothing: they change how numbers are held or where they lie."""


@dataclass(frozen=True)
class Layer:
    """One operator of the file; `seconds` is None where no runtime tells, and `real` says that it computes in float."""

    name: str
    op: str
    shape: tuple[int, ...]
    bytes: int
    seconds: float | None
    real: bool

    @property
    def part(self) -> str:
        """The part of the network that it belongs to: `blocks.2` of `blocks.2.0.conv.weight`."""
        found = re.match(r"[A-Za-z_]\w*(?:\.\d+)?", self.name)
        return found[0] if "." in self.name and found else self.name

    @property
    def moves(self) -> bool:
        return self.op in MOVES


def layers(path: Path) -> list[Layer]:
    """In the order in which they run. Raises: UserError for a file that cannot be read."""
    if path.suffix not in (".onnx", ".tflite"):
        raise UserError(f"`{path}` is neither .onnx nor .tflite", "give a model file, or a recipe that was run")
    if not path.is_file():
        raise UserError(f"there is no file `{path}`")
    return _onnx(path) if path.suffix == ".onnx" else _tflite(path)


def _onnx(path: Path) -> list[Layer]:
    command = children.script(profile.__file__, path, SECONDS)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() if done.returncode > 0 else []
        last = said[-1] if said else f"it {children.ended(done.returncode)}"
        raise UserError(f"onnxruntime cannot run `{path}`: {last}", "is it a whole model?")
    return [
        Layer(
            name=re.sub(r"(_quantized|_DequantizeLinear.*|_nchwc.*|_token_\d+)$", "", row["weight"]) or row["name"],
            op=row["op"],
            shape=tuple(row["shape"]),
            bytes=row["bytes"],
            seconds=row["seconds"],
            real=row["types"][:1] == ["float"] and row["op"] not in MOVES,
        )
        for row in json.loads(done.stdout)
    ]


def _tflite(path: Path) -> list[Layer]:
    """Without times: neither TFLite runtime tells them to Python."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_path=str(path), num_threads=1)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise UserError(f"LiteRT cannot run `{path}`: {str(error).splitlines()[0]}", "is it a whole model?") from error
    tensors = {each["index"]: each for each in interpreter.get_tensor_details()}
    made = {index for op in interpreter._get_ops_details() for index in op["outputs"]}
    taken = {each["index"] for each in interpreter.get_input_details()}
    packed = {
        op["outputs"][0]: op["inputs"][0]
        for op in interpreter._get_ops_details()
        if op["op_name"] == "DEQUANTIZE" and op["inputs"][0] not in made | taken
    }
    found = []
    for op in interpreter._get_ops_details():
        if op["op_name"] == "DELEGATE" or op["outputs"][0] in packed:
            continue
        held = [packed.get(i, i) for i in op["inputs"]]
        fixed = [tensors[i] for i in held if i in tensors and i not in made and i not in taken]
        gives = tensors[op["outputs"][0]]
        weight = next((each["name"] for each in fixed if len(each["shape"]) > 1), "")
        found.append(
            Layer(
                name=re.sub(r"(_quantized|_packed)$", "", weight) or gives["name"],
                op=op["op_name"],
                shape=tuple(int(side) for side in gives["shape"]),
                bytes=sum(int(each["shape"].prod()) * each["dtype"]().itemsize for each in fixed),
                seconds=None,
                real=gives["dtype"].__name__ == "float32" and op["op_name"] not in MOVES,
            )
        )
    return found
