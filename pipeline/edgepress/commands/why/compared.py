"""Implement `why --sensitivity`: find the float file and inputs, compare, and keep the result beside the run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ...core import ownership
from ...core.activity import Bounds, bounded
from ...core.explained import FILE, Explained, LayerFacts, Likeness, Sensitivity
from ...core.model_size import stored_bytes
from ...core.paths import digest, replacing
from ...core.printable import as_json, word
from ...core.printable import lines as printed
from ...core.progress import progress
from ...gate.report.sensitive import advice, show_gain, show_likeness, show_longer
from .layers import Layers
from .layers import layers as layers_of
from .origin import converted_of, float_of, inputs_of, origin_of, remark, require_onnx
from .table import table

SHOWN = 10
BEGINS = re.compile(rb'\{"version":\d+,"file":')


def explained(path: Path, layers: Layers, floats: Path | None, cache: Path) -> Explained:
    """Compare an int8 ONNX file with its float file, and keep the result beside the run that made it, if one did.

    Without `floats` the float file is that of the run. Raises: UserError.
    """
    from .converted import likenesses
    from .sensitivity import measure

    require_onnx(path)
    origin = origin_of(path)
    if origin:
        ownership.record(origin.folder / FILE, BEGINS)
    floats = float_of(origin, path, floats)
    converted = converted_of(origin, path) if origin else None
    (columns, *own), inputs = inputs_of(origin, [path, *([converted] if converted else [])], cache)
    shown = progress()
    shown.begin("comparing", "comparing", -1, 0)
    try:
        example = sum(column[:1].nbytes for column in columns)
        bounds = Bounds(stored_bytes(path) + stored_bytes(floats), example)
        with bounded(bounds, doing="comparing", file=path, library="onnxruntime"):
            measured = measure(path, floats, columns, shown.advance)
        seen: dict[str, Likeness] = {}
        if converted:
            bounds = Bounds(stored_bytes(path) + stored_bytes(converted), example)
            with bounded(bounds, doing="comparing", file=converted, library="LiteRT"):
                seen = likenesses(path, measured.tensors.values(), columns, converted, own[0])
    finally:
        shown.close()
    longer = _longer(layers, layers_of(floats))
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
        operators=[
            row.model_copy(update={"seconds": longer.get(row.layer), "converted": seen.get(measured.tensors[row.node])})
            for row in measured.operators
        ],
        converted=str(converted) if seen else "",
        remark=remark(origin),
    )
    if origin:
        with replacing(origin.folder / FILE) as file:
            file.write_text(found.as_json(), encoding="utf-8")
    return found


def _longer(integers: Layers, floats: Layers) -> dict[str, float]:
    """Return by layer how much longer it takes in the float file; of layers that both have, where both are timed."""
    both = [{row.name: row.seconds for row in found.layers if row.seconds is not None} for found in (integers, floats)]
    return {name: both[1][name] - seconds for name, seconds in both[0].items() if name in both[1]}


def text(found: Explained) -> str:
    """Return the table of the most sensitive operators, and which to return to float."""
    head = ["operator", "", "SQNR by itself", "all quantized", "won in float", "time for it", "TFLite against ONNX"]
    lines = table([head, *([*_cells(found, row)] for row in found.operators[:SHOWN])])
    title = (
        f"sensitivity of {len(found.operators)} operators, {Path(found.file).name} against {Path(found.against).name} "
        f"on {found.examples} {found.inputs}; SQNR of the outputs {found.sqnr:.1f} dB"
    )
    notes = [f"note: {found.remark}"] if found.remark else []
    return printed("\n".join(["", title, *lines, "", *notes, *advice(found)]) + "\n")


def _cells(found: Explained, row: Sensitivity) -> Iterator[str]:
    yield from (word(row.node), row.op, show_likeness(row.alone), show_likeness(row.cumulative), show_gain(row.gain))
    yield show_longer(found, row)
    yield show_likeness(row.converted) if row.converted else ""


def json(found: Explained) -> str:
    return as_json(found.model_dump()) + "\n"
