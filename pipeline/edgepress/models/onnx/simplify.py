"""Simplify a float graph of any exporter for quantizing and converting.

Its outputs stay the same: where they do not, less is simplified.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
from onnx import numpy_helper

from ...core import child_processes
from ...core.activity import LESS_MEMORY, Bounds
from ...core.errors import UserError, first_line
from ...core.native_output import silenced
from ...core.paths import scratch
from ...core.runtime_errors import cannot_run, reason
from ...core.system_errors import SystemFault
from . import constant_folding
from .export import opset
from .reading import RUN_ALONE

OPSET = 13
"""The oldest operator set with a scale for each channel of a weight."""
_TRIES = 3
"""How often a graph's constants may be folded before it is left as it is: they share its seconds."""
_BRANCHES = ("If", "Loop", "Scan")
_MOST_NODES = 2000
"""Nodes of a graph up to which onnxscript's rules are tried: one of them looks at all nodes for each, so that their
time grows as the square."""
_NEAR_ZERO, _NEAR_ONE = 1e-8, 1e-5
"""How near to 0 or 1 a constant is that onnxscript's rules leave out: they make `log(x)` of `log(x + 1e-10)`."""
_NEUTRAL = {"Add": 0.0, "Sub": 0.0, "Mul": 1.0, "Div": 1.0}


def bind(model: onnx.ModelProto, values: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Make inputs of fixed shape constants filled with a number, as a sample rate or a state; return these."""
    inputs = {value.name: value for value in model.graph.input}
    filled: dict[str, np.ndarray] = {}
    for name, number in values.items():
        value = inputs[name]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        sides = [axis.dim_value for axis in value.type.tensor_type.shape.dim]
        model.graph.initializer.append(
            numpy_helper.from_array(filled.setdefault(name, np.full(sides, number, dtype)), name)
        )
        model.graph.input.remove(value)
    return filled


def simplifications(
    source: Path, model: onnx.ModelProto, simplify: bool = True
) -> Iterator[tuple[str, Callable[[], onnx.ModelProto]]]:
    """Yield ways to simplify `model`, whose inputs have fixed shapes: the most first, the last is not at all.

    Each has a name, empty for the usual one, and raises UserError where it cannot be gone.

    By default constants are folded, chosen branches taken and batch norms merged. onnxscript goes first, then
    onnxruntime's basic level: they take the branch of an `If` whose condition is known, at which onnxsim and the
    version converter fail, and their result has standard operators only.
    """
    few = sum(1 for _ in _nodes(model.graph)) <= _MOST_NODES
    if simplify and few and not near_neutral(model):
        yield "", lambda: _simplified(source, model, _by_rules)
    if simplify:
        yield "without onnxscript's rules", lambda: _simplified(source, model, by_folding)
        yield "by folding constants alone", lambda: _simplified(source, model, by_folding, last=False)
    yield "not at all", lambda: _as_it_is(source, model)


def near_neutral(model: onnx.ModelProto) -> bool:
    """Return whether a constant is so near to 0 or 1 that onnxscript's rules leave its operator out."""
    nodes = list(_nodes(model.graph))
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    values = [(node.output[0], entry) for node in nodes if node.op_type == "Constant" for entry in node.attribute]
    stored |= {name: entry.t for name, entry in values if entry.name == "value"}
    pairs = [(name, node.op_type) for node in nodes if node.op_type in _NEUTRAL for name in node.input]
    return any(
        is_near(float(numpy_helper.to_array(stored[name]).item()), _NEUTRAL[kind])
        for name, kind in pairs
        if name in stored and np.prod(stored[name].dims, dtype=int) == 1
    )


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a graph and of the branches in it."""
    for node in graph.node:
        yield node
        for entry in node.attribute:
            if entry.HasField("g"):
                yield from _nodes(entry.g)


def is_near(number: float, neutral: float) -> bool:
    """Return whether a number is nearly, and not exactly, the one that changes nothing."""
    return number != neutral and abs(number - neutral) <= (_NEAR_ONE if neutral else _NEAR_ZERO)


def _by_rules(model: onnx.ModelProto) -> onnx.ModelProto:
    from onnxscript import optimizer

    with silenced():
        return optimizer.optimize(model)


def by_folding(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fold constants, and take known branches, as `_by_rules` does, and rewrite nothing else."""
    from onnxscript import ir, optimizer

    graph = ir.from_proto(model)
    optimizer.inline(graph)
    optimizer.fold_constants(graph)
    optimizer.remove_unused_nodes(graph)
    return lift_constants(ir.to_proto(graph))


def lift_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """Make initializers of Constant nodes, which a quantizer does not see."""
    constants = [(node, entry) for node in model.graph.node if node.op_type == "Constant" for entry in node.attribute]
    for node, entry in constants:
        if entry.name == "value":
            tensor = numpy_helper.to_array(entry.t)
        elif entry.name in ("value_float", "value_floats", "value_int", "value_ints"):
            dtype = np.float32 if "float" in entry.name else np.int64
            tensor = np.array(onnx.helper.get_attribute_value(entry), dtype)
        else:
            continue
        model.graph.initializer.append(numpy_helper.from_array(tensor, node.output[0]))
        model.graph.node.remove(node)
    return model


def _simplified(
    source: Path, model: onnx.ModelProto, first: Callable[[onnx.ModelProto], onnx.ModelProto], last: bool = True
) -> onnx.ModelProto:
    """Return the model simplified by `first`, by onnxruntime, and `last` by onnxsim.

    Raises: UserError naming the operator, where branches are left, or where the operator set cannot be raised.
    """
    onnxsim = _onnxsim()
    simpler = _open(model)
    # onnxscript writes for later operator sets, such as a Gemm without its bias of zeros.
    if opset(simpler) < OPSET and not _branching(simpler):
        simpler = _raised(source, simpler)
    try:
        simpler = _folded(first(simpler))
    except Exception as error:  # onnxruntime's errors have no common base
        raise _refused(source, model, error) from error
    _require_one_way(source, simpler)
    if opset(simpler) < OPSET:
        simpler = _raised(source, simpler)
    if not last:
        return simpler
    try:
        with silenced():
            simpler, same = onnxsim.simplify(simpler)
    except Exception as error:  # nor have onnxsim's
        raise _refused(source, simpler, error) from error
    if not same:
        raise UserError(f"onnxsim changed the outputs of `{source}`", "export it anew, simplified")
    return simpler


def _onnxsim() -> ModuleType:
    """Import onnxsim, but not torch with it: onnxsim has no use for it here, and it takes seconds to import."""
    if "torch" in sys.modules:
        import onnxsim

        return onnxsim
    sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        import onnxsim
    finally:
        del sys.modules["torch"]
    return onnxsim


def _as_it_is(source: Path, model: onnx.ModelProto) -> onnx.ModelProto:
    _require_one_way(source, model)
    plain = lift_constants(_open(model))
    try:
        return onnx.shape_inference.infer_shapes(plain if opset(plain) >= OPSET else _raised(source, plain))
    except onnx.shape_inference.InferenceError as error:
        raise UserError(f"`{source}` is not a sound ONNX file: {first_line(error)}", "export it anew") from error


def _open(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy without the shapes of results, which may have been others before."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for result in copy.graph.output:
        result.type.tensor_type.ClearField("shape")
    return copy


def _require_one_way(source: Path, model: onnx.ModelProto) -> None:
    for node in _branching(model):
        raise UserError(
            f"`{source}`: node `{node.name or node.output[0]}` ({node.op_type}) decides while it runs what to "
            "compute, which cannot be quantized",
            "fix the input that it depends on, `constants: {NAME: NUMBER}`, or export one branch alone",
        )


def _raised(source: Path, model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return onnx.version_converter.convert_version(model, OPSET)
    except RuntimeError as error:
        raise UserError(
            f"`{source}` uses ONNX operator set {opset(model)}, which cannot be raised to {OPSET}: {first_line(error)}",
            f"export it anew with operator set {OPSET} or later",
        ) from error


def _branching(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type in _BRANCHES]


def _folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fold constants in another process: at some branches within branches onnxruntime 1.32 has a segmentation fault."""
    with scratch() as work:
        source, target = Path(work, "given.onnx"), Path(work, "folded.onnx")
        onnx.save(model, source)
        bounds = Bounds(source.stat().st_size).arguments(_TRIES)
        command = child_processes.script(constant_folding.__file__, source, target, *bounds)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        folded = None if done.returncode else _whole(target)
        if folded is None:
            if done.returncode == -signal.SIGKILL:
                raise SystemFault("the process that folds constants was killed, as when memory runs out", LESS_MEMORY)
            Path(work, "space").write_bytes(bytes(2 * source.stat().st_size))  # onnxruntime does not say it of a disk
            raise RuntimeError(child_processes.cause(done.stderr, done.returncode))
    used = {node.domain for node in folded.graph.node}
    opsets = [entry for entry in folded.opset_import if entry.domain in used or entry.domain == ""]
    del folded.opset_import[:]
    folded.opset_import.extend(opsets)
    # The operators know shapes of results that the exporter left open, or got wrong.
    return onnx.shape_inference.infer_shapes(folded)


def _whole(path: Path) -> onnx.ModelProto | None:
    """Return the model of a file that was just written; None where it is cut off, or absent."""
    try:
        model = onnx.load(path)
    except Exception:  # protobuf's DecodeError has no stable home across its versions
        return None
    return model if model.opset_import else None


def _refused(source: Path, model: onnx.ModelProto, error: Exception) -> UserError:
    """Return the error, which names the first branch of the graph: the likely reason, and one to act on."""
    logging.getLogger(__name__).debug("%s", error)
    branch = next((node for node in model.graph.node if node.op_type in _BRANCHES), None)
    if branch is None:
        return cannot_run(source, error, RUN_ALONE)
    return UserError(
        f"`{source}`: node `{branch.name or branch.output[0]}` ({branch.op_type}) has branches that cannot be told "
        f"apart before it runs: {reason(error)}",
        "export one branch alone, without the others",
    )
