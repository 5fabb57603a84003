"""List the layers of a model file with their time and bytes.

Times are from the runtime's own profiler where it has one.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core import child_processes, native_death
from ...core.activity import Bounds, bounded
from ...core.errors import UserError
from ...core.model_size import stored_bytes
from ...core.printable import word
from ...core.runtime_errors import cannot_run
from . import profile, tflite
from .source import Source, alike

SECONDS = 2.0
CONVERSIONS = ("QuantizeLinear", "DequantizeLinear", "QUANTIZE", "DEQUANTIZE")
MOVES = (
    *CONVERSIONS,
    "Cast",
    "Transpose",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Flatten",
    "CAST",
    "TRANSPOSE",
    "RESHAPE",
)
"""Operators that compute nothing: they change how numbers are held or where they lie."""

INTEGERS = r"QLinear|QGemm|DynamicQuantize|\w+Integer"
"""Operators of onnxruntime that compute in integers, and may give floats."""


@dataclass(frozen=True)
class Layer:
    """One operator of the file, with those that the runtime computes together with it.

    Attributes:
        name: of its weights, of the node, or of what it gives, as the file has it.
        op: the file's operator; `fused` are those computed with it, such as a Relu.
        bytes: of its constants, as the file stores them.
        seconds: of one inference; None where no runtime reports it.
        real: whether it computes in float.
        counts: whether it computes neither in float nor in quantized integers, but with ids, shapes or truth.
        activates: of a Sigmoid and the like, that it is neither a gate nor the output, so that a ReLU could replace it.
        inserted: of `seconds`, those of what onnxruntime adds for it: other layouts and types, weights unpacked.
    """

    name: str
    op: str
    shape: tuple[int, ...]
    bytes: int
    seconds: float | None
    real: bool
    fused: tuple[str, ...] = ()
    inserted: float = 0.0
    activates: bool = True
    counts: bool = False

    @property
    def part(self) -> str:
        """Return the part of the network that it belongs to: `blocks.2` of `blocks.2.0.conv.weight`, or of
        `/blocks/blocks.2/blocks.2.0/conv/Conv`."""
        steps = [step for step in self.name.split("/") if step]
        steps = [step for step, below in zip(steps, [*steps[1:], ""], strict=False) if not below.startswith(f"{step}.")]
        path = ".".join(steps)
        match = re.match(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*?\.\d+(?=\.)|[A-Za-z_]\w*(?=\.)", path)
        return match[0] if match else self.name

    @property
    def holds(self) -> str:
        """Return `float` or `integers`, by which it computes; empty for moves and counts."""
        return "" if self.moves or self.counts else "float" if self.real else "integers"

    @property
    def moves(self) -> bool:
        return self.op in MOVES


@dataclass(frozen=True)
class Layers:
    """Of a whole file.

    Attributes:
        layers: the layers, in the order in which they run.
        size: bytes of the file, of which `graph` are of no layer.
        seconds: of one inference, of which `between` go by in no layer; None where no runtime reports it.
    """

    layers: tuple[Layer, ...]
    size: int
    seconds: float | None

    @property
    def graph(self) -> int:
        return self.size - sum(layer.bytes for layer in self.layers)

    @property
    def between(self) -> float:
        return max(0.0, (self.seconds or 0.0) - sum(layer.seconds or 0.0 for layer in self.layers))


def layers(path: Path) -> Layers:
    """List the layers of a file. Raises: UserError for one that cannot be read, or that its runtime cannot run."""
    if path.suffix not in (".onnx", ".tflite"):
        raise UserError(f"`{path}` is neither .onnx nor .tflite", "give a model file, or a recipe that was run")
    size = stored_bytes(path)
    with bounded(Bounds(size), doing="reading", file=path, library="onnx" if path.suffix == ".onnx" else "flatbuffers"):
        return _onnx(path) if path.suffix == ".onnx" else _tflite(path)


def _onnx(path: Path) -> Layers:
    import onnx

    source = Source(path)
    profiled = _profiled(path)
    own: dict[int, list[dict[str, Any]]] = defaultdict(list)
    added: dict[int, float] = defaultdict(float)
    for event in (event for event in profiled["events"] if event["node"] is not None):
        if event["inserted"] or event["node"] in source.fixed:
            added[source.user(event["node"])] += event["seconds"]
        else:
            own[event["node"]].append(event)
    main = {number: max(events, key=lambda event: event["seconds"]) for number, events in own.items()}
    operators = []
    for number, group in source.groups({number: event["op"] for number, event in main.items()}).items():
        event = main[number]
        head = next((node for node in group if alike(event["op"], source.nodes[node].op_type)), None)
        if head is None and not onnx.defs.has(event["op"]):  # such as QuickGelu: the file has a Sigmoid and a Mul
            head = next((node for node in group if source.nodes[node].op_type not in CONVERSIONS), None)
        # Of several nodes that one operator of onnxruntime computes, such as a Gelu, none is called as it is.
        op = event["op"] if head is None and len(group) > 1 else source.nodes[number if head is None else head].op_type
        kind, integer = next(iter(event["types"]), ""), bool(re.match(INTEGERS, event["op"]))
        real = kind in ("float", "float16", "double") and not integer and op not in MOVES
        integer = integer or kind in ("int8", "uint8", "int16", "uint16")
        inserted = sum(added[node] for node in group)
        names = dict.fromkeys(source.nodes[node].op_type for node in group if node != head)
        operators.append(
            Layer(
                name=word(source.name(number if head is None else head)),
                op=word(op),
                shape=source.shape(number) or tuple(event["shape"]),
                bytes=sum(map(source.bytes, group)),
                seconds=inserted + sum(event["seconds"] for event in own[number]),
                real=real,
                counts=not real and not integer,
                fused=tuple(word(name) for name in names if name not in (op, *CONVERSIONS)),
                inserted=inserted,
                activates=source.activates(number if head is None else head),
            )
        )
    return Layers(
        tuple(operators), source.size, max(profiled["seconds"], sum(layer.seconds or 0.0 for layer in operators))
    )


def _profiled(path: Path) -> dict[str, Any]:
    bounds = Bounds(stored_bytes(path))
    command = child_processes.script(profile.__file__, path, SECONDS, *bounds.arguments())
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode < 0:
        note = {"file": str(path), "doing": "profiling", "seconds": f"{bounds.seconds:.0f}", "library": "onnxruntime"}
        raise native_death.error(-done.returncode, note)
    if done.returncode:
        cause = child_processes.cause(done.stderr, done.returncode)
        raise cannot_run(path, cause, "is it a whole model?")
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def _tflite(path: Path) -> Layers:
    """List the operators without times: neither TFLite runtime reports them to Python."""
    operators = [
        Layer(
            name=word(row.name),
            op=word(row.op),
            shape=row.shape,
            bytes=row.bytes,
            seconds=None,
            real=row.real and row.op not in MOVES,
            counts=row.counts,
        )
        for row in tflite.read(path)
    ]
    return Layers(tuple(operators), path.stat().st_size, None)
