"""Quantize an ONNX graph after training (PTQ), accurate and fast."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import numpy_helper
from threadpoolctl import threadpool_limits

from ... import tasks
from ...core.columns import split
from ...core.errors import UserError
from ...core.machine import machine
from ...core.paths import scratch
from ...core.presets import INT16, PRESETS, Preset, PresetName, saturates
from ...data.rows import choose
from ...data.rows import held as in_memory
from ...models import metadata, nameless
from ...models.onnx.export import quantized, write
from ...models.onnx.uint8 import WEIGHTED
from ...models.prepared import columns_of
from . import accuracy_aware, apart, latency_aware, recurrent, refine, ties
from .accuracy_guard import Guard, guard
from .calibration import ranges as calibration
from .calibration.examples import prepared as examples
from .division import divided, fitting, spread
from .excluded import unsuited
from .fill_values import ranged
from .integer_only import to_integers
from .qdq import Plan, prepared, quiet, written
from .sqnr import Evidence

if TYPE_CHECKING:
    from ...core.metric import Metric
    from ...data.dataset import Dataset

__all__ = [
    "CalibratedPlan", "Options", "calibrate_plan", "quantize_dynamic", "quantize_int16", "quantize_static",
    "signed",
]  # fmt: skip

Say = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Options:
    """Options of `stages.quantize.QuantizeStatic`. `host` is the preset of this machine, on which times count.

    `fast` is its least `effort`: fewer ranges are tried, and no equalization.
    """

    samples: int = 256
    ranges: str = "auto"
    per_channel: bool = True
    improve: bool = True
    keep: float | None = 1.0
    faster: bool = True
    host: PresetName | None = None
    fast: bool = False


@dataclass(frozen=True)
class CalibratedPlan:
    """The best plan by calibration alone: every operator in int8 that has a suitable integer form.

    Attributes:
        contract: metadata of the inputs and outputs of the float file.
        held: rows of the validation split that decide; `evidence` has them as the graph takes them.
        notes: what was decided, for the report.
    """

    plan: Plan
    evidence: Evidence
    contract: dict[str, Any]
    held: np.ndarray
    notes: dict[str, Any]


def calibrate_plan(
    source: Path, data: Dataset, options: Options, say: Say, presets: Sequence[PresetName] = ()
) -> CalibratedPlan:
    """Calibrate the ranges of `source` on validation examples, and refine its integers, of `presets` as well.

    Raises: UserError for a graph that is quantized already, and for examples that it cannot be calibrated with.
    """
    model = _float_model(source)
    contract = metadata.read_onnx(model)
    rows, held = divided(len(data["validation"].y), options.samples)
    if not data.labels or tasks.of(data).dense:
        held = held[spread(len(held), fitting(model.graph))]
    held = np.random.default_rng(0).permutation(held)  # the first ones stand for all: a split may be sorted by class
    seen, warnings = examples(contract, data, rows)
    graph = prepared(model)
    del model  # its weights, another time
    grouped = not data.labels or data.task == "detection"
    evidence = Evidence(
        graph, seen, columns_of(contract, data, in_memory(choose(data["validation"].x, held))), grouped=grouped
    )
    _check(evidence)
    plan = apart.applied(Plan(graph, {}, options.per_channel, unsuited(graph.graph)), evidence)
    suited = plan.floats
    reduced = next((PRESETS[name].numbers for name in presets if PRESETS[name].reduced), None)
    # Each core has an example of its own; and the last bits of sums depend on the number of threads.
    with threadpool_limits(1, "blas"):
        plan, steps = refine.refined(
            plan, evidence, options.ranges, say, improve=options.improve, fast=options.fast, reduced=reduced
        )
    notes: dict[str, Any] = {"ladder": steps, **({"warnings": warnings} if warnings else {})}
    if joins := apart.note(evidence):
        notes["apart"] = joins
    more = [node for node in graph.graph.node if node.name in plan.floats - suited]
    if fills := [f"{node.name} ({node.op_type})" for node in more if node.op_type not in recurrent.OPERATORS]:
        notes["fills"] = fills
    return CalibratedPlan(plan, evidence, contract, held, notes)


def quantize_static(
    source: Path,
    data: Dataset,
    metric: Metric,
    folder: Path,
    *,
    presets: tuple[PresetName, ...],
    options: Options,
    floor: float | None = None,
    marks: np.ndarray | None = None,
    whole_error: float | None = None,
    say: Say = lambda done, total, words: None,
) -> tuple[dict[str, str], dict[str, Any]]:
    """Quantize `source` on validation examples; return preset → file name in `folder`, and the notes.

    `xnnpack` is always written, since TFLite is made from it; the order is that of `presets`. In `integer-only` no
    operator returns to float, whatever `keep` is. On validation, `floor` is the metric that the recipe wants, `marks`
    the outputs that `agreement` is with, and `whole_error` the float model's error; see `guard`.
    Raises: UserError as `calibrate_plan`.
    """
    start = calibrate_plan(source, data, options, say, presets)
    plan, evidence, contract, notes = start.plan, start.evidence, start.contract, {**start.notes}

    def to_logits(outputs: np.ndarray) -> np.ndarray:
        return metadata.to_logits(outputs, contract, data)

    criteria: Guard | None = None
    if options.keep is not None:
        y = data["validation"].y[start.held]
        marks = None if marks is None else marks[start.held]
        criteria = guard(
            to_logits(evidence.expected), y, data, metric, options.keep, floor, marks, whole_error,
            nameless.decoder_of(contract, evidence.expected),
        )  # fmt: skip

    def restored(plan: Plan, integers: Preset) -> tuple[Plan, list[dict[str, Any]]]:
        if criteria is None:
            return plan, []
        worth, priced = (lambda outputs: criteria.margin(to_logits(outputs))), PRESETS[options.host or "xnnpack"]
        return accuracy_aware.restored(plan, evidence, worth, 0.0, say, priced, integers)

    every_integer = replace(plan, floats=plan.floats - evidence.apart)
    plan, rows = restored(plan, PRESETS["xnnpack"])
    if rows:
        notes["restored"] = rows
    classes = bool(data.labels) and data.task == "single-label" and criteria is not None
    plan, note = ties.untied(plan, evidence) if classes else (plan, None)
    if note:
        notes["ties"] = note
    files: dict[str, str] = {}
    outputs: dict[str, np.ndarray] = {}
    alike: dict[tuple[int, Preset], np.ndarray] = {}
    every: dict[PresetName, None] = dict.fromkeys((*presets, "xnnpack"))
    for preset in every:
        mine = every_integer if PRESETS[preset].integer_only else plan
        if PRESETS[preset].reduced or PRESETS[preset].symmetric:  # other numbers than those of `xnnpack`
            mine, rows = restored(plan, PRESETS[preset].numbers)
            if rows:
                notes.setdefault("restored_more", {})[preset] = rows
        if options.faster and preset == options.host:
            integers = evidence.written(mine, PRESETS[preset])
            mine, notes["speed"] = latency_aware.faster(mine, PRESETS[preset], say, integers)
        if criteria is not None or evidence.grouped:
            say(0, 1, f"checking {preset} on held-out examples")
            key = id(mine), PRESETS[preset].numbers
            if key not in alike:
                raw = evidence.outputs(mine, PRESETS[preset].numbers)
                alike[key] = to_logits(raw)
                boxes = criteria is not None and criteria.holds_boxes(alike[key])  # whatever numbers they come of
                lost = None if boxes else apart.warning(evidence, raw, preset, options.keep)
                tied = ties.warning(raw, evidence.expected, preset) if classes else None
                notes["warnings"] = [*notes.get("warnings", ()), *(each for each in (lost, tied) if each)]
            outputs[preset] = alike[key]
        quantized_model = copy.deepcopy(evidence.written(mine, PRESETS[preset]))
        metadata.embed(quantized_model, contract)
        files[preset] = f"model.{preset}.onnx"
        onnx.checker.check_model(quantized_model)
        (folder / files[preset]).write_bytes(
            (to_integers(quantized_model) if PRESETS[preset].integer_only else quantized_model).SerializeToString()
        )
    if criteria is not None:
        notes["keep"] = criteria.notes(outputs)
    return files, {name: note for name, note in notes.items() if note or name != "warnings"}


def quantize_int16(source: Path, data: Dataset, path: Path, *, samples: int) -> None:
    """Quantize `source` to int16 activations, with ranges around 0 from `samples` validation examples."""
    model = _float_model(source)
    contract = metadata.read_onnx(model)
    count = len(data["validation"].y)
    seen, _ = examples(contract, data, spread(count, samples))
    graph = prepared(model)
    minmax = calibration.ranges(graph, seen, methods=("minmax",))["minmax"]
    quantized_model = written(ranged(Plan(graph, {}, floats=unsuited(graph.graph)), minmax), INT16)
    metadata.embed(quantized_model, contract)
    write(quantized_model, path)


def signed(
    source: Path,
    inputs: np.ndarray | tuple[np.ndarray, ...],
    *,
    ranges: str = "minmax",
    per_channel: bool = True,
    preset: Preset = PRESETS["xnnpack"],
) -> onnx.ModelProto:
    """Quantize the float graph of `source` to int8 everywhere, with ranges from `inputs`, as `predict` takes them."""
    columns = inputs if isinstance(inputs, tuple) else (inputs,)
    graph = prepared(onnx.load(source))
    tensor_ranges = calibration.ranges(graph, columns, methods=(ranges,))[ranges]
    return written(ranged(Plan(graph, {}, per_channel, unsuited(graph.graph)), tensor_ranges), preset)


def quantize_dynamic(source: Path, path: Path, *, per_channel: bool) -> None:
    """Quantize the weights of matrix products in `source`; convolutions stay float, for which runtimes are fast.

    To 7 bits on a processor whose sums of 8-bit products saturate.
    """
    from onnxruntime import quantization as ort

    model = _float_model(source)
    if not any(node.op_type in ("Gemm", "MatMul") for node in model.graph.node):
        raise UserError("this graph has no matrix product to quantize", "use `quantize.static`")
    with quiet(), scratch() as work:
        dynamic_path = Path(work, "quantized.onnx")
        ort.quantize_dynamic(
            str(source), str(dynamic_path), op_types_to_quantize=["MatMul", "Gemm"], per_channel=per_channel,
            weight_type=ort.QuantType.QInt8, reduce_range=saturates(machine()),
        )  # fmt: skip
        dynamic = onnx.load(dynamic_path)
    metadata.embed(dynamic, metadata.read_onnx(model))
    path.write_bytes(dynamic.SerializeToString())


def _float_model(source: Path) -> onnx.ModelProto:
    model = onnx.load(source)
    if quantized(model):
        raise UserError("this graph is quantized already", "quantize the float model: `input: NAME OF ITS STAGE`")
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        for name in node.input[1:] if node.op_type in WEIGHTED else ():
            if name in constants and not np.isfinite(numpy_helper.to_array(constants[name])).all():
                raise UserError(
                    f"the weight `{name}` of `{node.name or node.output[0]}` ({node.op_type}) holds values that are "
                    "infinite or no numbers, which no integers stand for",
                    "look at where it was trained or exported: the float model computes with them too",
                )
    return model


def _check(evidence: Evidence) -> None:
    rows = chain([next(iter(evidence.seen))], zip(*evidence.held, strict=True))
    if not all(np.isfinite(array).all() for row in rows for array in row):
        raise UserError("the validation examples hold values that are not numbers", "remove or fill these examples")
    if not all(np.isfinite(column).all() for column in split(evidence.expected).values()):
        raise UserError(
            "the float model's outputs on the validation examples are not numbers",
            "check how its inputs are prepared (`normalize`), and run the float model on them by itself",
        )
