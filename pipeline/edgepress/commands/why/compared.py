"""Implement `why --sensitivity`: find the float file and inputs, compare, and keep the result beside the run."""

from __future__ import annotations

import re
from pathlib import Path

from ...core import ownership
from ...core.activity import Bounds, bounded
from ...core.errors import UserError
from ...core.explained import FILE, Explained, LayerFacts
from ...core.model_size import stored_bytes
from ...core.paths import digest, replacing
from ...core.printable import as_json, word
from ...core.printable import lines as printed
from ...core.progress import progress
from ...gate.report.page.layers import advice, show_gain, show_likeness
from .layers import Layers
from .origin import float_file, inputs_of, origin_of, remark

SHOWN = 10
BEGINS = re.compile(rb'\{"version":\d+,"file":')


def explained(path: Path, layers: Layers, floats: Path | None, cache: Path) -> Explained:
    """Compare an int8 ONNX file with its float file, and keep the result beside the run that made it, if one did.

    Without `floats` the float file is that of the run. Raises: UserError.
    """
    from .sensitivity import measure

    if path.suffix != ".onnx":
        help = "name the ONNX file that it was converted from: what it loses as integers, it loses there"
        raise UserError(f"`{path}` is no ONNX file, and only these are compared by operator", help)
    origin = origin_of(path)
    if origin:
        ownership.record(origin.folder / FILE, BEGINS)
    floats = floats or (float_file(origin) if origin else None)
    if floats is None or not floats.is_file():
        what = f"`{floats}` is not there" if floats else f"no run is known that made `{path}`"
        raise UserError(f"{what}, so there is no float file to compare with", "name it: `--float FILE`")
    columns, inputs = inputs_of(origin, path, cache)
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
        remark=remark(origin),
    )
    if origin:
        with replacing(origin.folder / FILE) as file:
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
    notes = [f"note: {found.remark}"] if found.remark else []
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    return printed("\n".join(["", title, *shown, "", *notes, *(f"first: {words}" for words in advice(found))]) + "\n")


def json(found: Explained) -> str:
    return as_json(found.model_dump()) + "\n"
