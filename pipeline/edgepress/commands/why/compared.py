"""Implement `why --sensitivity`: find the float file and inputs, compare, and keep the result beside the run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...config.recipe import load
from ...core import ownership, stored
from ...core.activity import Bounds, bounded
from ...core.errors import UserError
from ...core.explained import Explained, LayerFacts
from ...core.model_size import stored_bytes
from ...core.paths import digest, replacing
from ...core.printable import as_json, word
from ...core.printable import lines as printed
from ...core.progress import progress
from ...core.results import Report, StageFacts
from ...engine.cache import Cache
from ...engine.run import REPORT
from ...engine.setup import Setup
from ...gate.report.page.layers import advice, show_gain, show_likeness
from ...models import metadata
from ...stages.quantize.ptq import divided, spread
from .layers import Layers

EXAMPLES, RANDOM = 32, 8
"""Validation examples that are compared, which no range was calibrated on; random ones of a file without a run."""
SHOWN = 10
WHY = "why.json"
BEGINS = re.compile(rb'\{"version":\d+,"file":')
Columns = tuple[np.ndarray, ...]


class Origin(NamedTuple):
    """The run that made a file: its report, and the stage of the file."""

    report: Report
    stage: StageFacts
    folder: Path


def onnx_of(path: Path) -> Path:
    """Return the ONNX file that a TFLite file of a run was converted from; any other file as it is."""
    origin = _origin(path) if path.suffix == ".tflite" else None
    if origin is None:
        return path
    precision = next(file.precision for file in origin.stage.files)
    source = next(stage for stage in origin.report.stages if stage.name == origin.stage.inputs[0])
    files = {file.precision: file.path for file in source.files}
    return Path(files.get(precision, source.files[0].path)) if source.kind == "onnx" else path


def explained(path: Path, layers: Layers, floats: Path | None, cache: Path) -> Explained:
    """Compare an int8 ONNX file with its float file, and keep the result beside the run that made it, if one did.

    Without `floats` the float file is that of the run. Raises: UserError.
    """
    from .sensitivity import measure

    if path.suffix != ".onnx":
        help = "name the ONNX file that it was converted from: what it loses as integers, it loses there"
        raise UserError(f"`{path}` is no ONNX file, and only these are compared by operator", help)
    origin = _origin(path)
    if origin:
        ownership.record(origin.folder / WHY, BEGINS)
    floats = floats or (_float_file(origin) if origin else None)
    if floats is None or not floats.is_file():
        what = f"`{floats}` is not there" if floats else f"no run is known that made `{path}`"
        raise UserError(f"{what}, so there is no float file to compare with", "name it: `--float FILE`")
    columns, inputs = _inputs(origin, path, cache)
    shown = progress()
    shown.begin("comparing", "comparing", -1, 0)
    try:
        bounds = Bounds(stored_bytes(path) + stored_bytes(floats), sum(column.nbytes for column in columns))
        with bounded(bounds, doing="comparing", file=path, library="onnxruntime"):
            measured = measure(path, floats, columns, shown.advance)
    finally:
        shown.close()
    found = Explained(
        file=str(path),
        sha256=digest(path),
        against=str(floats),
        examples=len(columns[0]),
        inputs=inputs,
        sqnr=measured.sqnr,
        seconds=layers.seconds,
        layers=[
            LayerFacts(
                name=own.name, op=own.op, shape=list(own.shape), holds=own.holds, bytes=own.bytes, seconds=own.seconds
            )
            for own in layers.layers
        ],
        operators=measured.operators,
    )
    if origin:
        with replacing(origin.folder / WHY) as file:
            file.write_text(found.as_json(), encoding="utf-8")
    return found


def text(found: Explained) -> str:
    """Return the table of the most sensitive operators, and which to return to float."""
    head = ["operator", "", "SQNR by itself", "all quantized", "won in float"]
    rows = [
        [word(row.node), row.op, show_likeness(row.alone), show_likeness(row.cumulative), show_gain(row.gain)]
        for row in found.operators[:SHOWN]
    ]
    table = [head, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    title = (
        f"sensitivity of {len(found.operators)} operators, {Path(found.file).name} against {Path(found.against).name} "
        f"on {found.examples} {found.inputs}; SQNR of the outputs {found.sqnr:.1f} dB"
    )
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    return printed("\n".join(["", title, *shown, "", *(f"first: {words}" for words in advice(found))]) + "\n")


def json(found: Explained) -> str:
    return as_json(found.model_dump()) + "\n"


def _origin(path: Path) -> Origin | None:
    """Return the run whose folder the file lies in; None for a file that no run made, or that was changed since."""
    report = path.resolve().parent.parent / REPORT
    if not report.is_file() or not ownership.is_record(report, ownership.REPORT):
        return None
    results = stored.read(report, Report, stored.of_report, "move it away, and run the recipe again")
    own = digest(path)
    stage = next((stage for stage in results.stages if any(file.sha256 == own for file in stage.files)), None)
    return Origin(results, stage, path.parent.parent) if stage else None


def _float_file(origin: Origin) -> Path | None:
    """Return the file of the nearest stage above that is a float ONNX model."""
    stages = {stage.name: stage for stage in origin.report.stages}
    stage: StageFacts | None = origin.stage
    while stage and stage.inputs:
        stage = stages[stage.inputs[0]]
        if stage.kind == "onnx" and stage.files[0].precision == "float32":
            return Path(stage.files[0].path)
    return None


def _inputs(origin: Origin | None, path: Path, cache: Path) -> tuple[Columns, str]:
    """Return inputs as the file takes them, and what they are."""
    if origin is None:
        return _random(path), "random inputs, as no run has others"
    recipe = Path(origin.report.source)
    if not recipe.is_file():
        help = "run the command in the folder of the run"
        raise UserError(f"`{word(recipe)}`, the recipe of this run, is not there, and its data are compared on", help)
    setup = Setup(load(recipe, origin.report.data.get("set", ())), Cache(cache), origin.report.limited)
    x, y = setup.data["validation"]
    _, held = divided(len(y), 256)
    rows = held[spread(len(held), EXAMPLES)]
    return metadata.to_model_inputs(metadata.read(path), setup.data, x[rows]), "validation examples"


def _random(path: Path) -> Columns:
    """Return normal random numbers, or small integers, for each input of a file; open sides are 1."""
    import onnx
    from onnx import helper

    random, graph = np.random.default_rng(0), onnx.load(path, load_external_data=False).graph
    constants = {tensor.name for tensor in graph.initializer}
    columns = []
    for value in graph.input:
        if value.name in constants:
            continue
        kind = value.type.tensor_type
        shape = (RANDOM, *(side.dim_value or 1 for side in kind.shape.dim[1:]))
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        values = random.standard_normal(shape) if dtype.kind == "f" else random.integers(0, 2, shape)
        columns.append(values.astype(dtype))
    return tuple(columns)
