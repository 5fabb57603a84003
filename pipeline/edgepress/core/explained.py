"""Define what `edgepress why --sensitivity` finds: `runs/NAME/why.json` is an `Explained`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from .results import Facts
from .stored_samples import LONGEST

FILE = "why.json"
"""Beside the `report.json` of the run that made the file."""
MOST_DECIBELS = 120.0
"""SQNR of what is equal, as `likeness.decibels` bounds it."""


class LayerFacts(Facts):
    """One operator of the file with those computed together with it, as `commands.why.layers` has it.

    `bytes` are of its constants in the file, `seconds` of one inference, or None where the runtime reports none.
    """

    name: str
    op: str
    shape: list[int]
    holds: str
    bytes: int
    seconds: float | None


class Likeness(Facts):
    """A tensor of the int8 file beside that of the float file: SQNR in dB, and the cosine of the two.

    A cosine is None where one of the two is zero everywhere.
    """

    sqnr: float
    cosine: float | None


class Sensitivity(Facts):
    """What one operator loses as integers.

    Attributes:
        node: its name in the file; `layer` is that of the `LayerFacts` it belongs to.
        alone: of its own output, where only this operator is quantized and all others are float.
        cumulative: of its own output, where all of the file is quantized.
        gain: dB of SQNR that the model's outputs win, where only this operator returns to float.
        seconds: by how much one inference is longer then: its layer's time in the float file, less that in this file;
            None where a runtime reports none, or the two files have no layer of that name in common.
        converted: of its own output, the TFLite file's against this file's; None where the two share no such tensor.
    """

    node: str
    layer: str
    op: str
    alone: Likeness
    cumulative: Likeness
    gain: float
    seconds: float | None = None
    converted: Likeness | None = None


class Explained(Facts):
    """The layers of a file, and the sensitivity of its operators, the worst first.

    Attributes:
        file: the int8 file, with its `sha256`; `against` is the float file.
        examples: how many inputs were compared; `inputs` says which they were.
        sqnr: of the outputs of the whole file, in dB.
        converted: the TFLite file that was made from `file`, if its tensors were compared too.
        remark: why operators cannot be compared one by one, if they cannot.
    """

    version: Literal[1] = 1
    file: str
    sha256: str
    against: str
    examples: int
    inputs: str
    sqnr: float
    seconds: float | None
    layers: list[LayerFacts]
    operators: list[Sensitivity]
    converted: str = ""
    remark: str = ""


def problems(found: Explained) -> Iterator[str]:
    """Yield what does not hold together in a file of an `Explained`; see `core.stored`."""
    if found.examples < 1:
        yield "examples: this cannot be"
    if not abs(found.sqnr) <= MOST_DECIBELS:
        yield "sqnr: this cannot be"
    if found.seconds is not None and not 0 <= found.seconds <= LONGEST:
        yield "seconds: this cannot be"
    for index, layer in enumerate(found.layers):
        times = layer.seconds is None or 0 <= layer.seconds <= LONGEST
        if layer.bytes < 0 or not times or any(side < 0 for side in layer.shape):
            yield f"layers.{index}: this cannot be"
    for index, row in enumerate(found.operators):
        tensors = [row.alone, row.cumulative, *([row.converted] if row.converted else [])]
        cosines = [tensor.cosine for tensor in tensors]
        numbers = [row.gain, *(tensor.sqnr for tensor in tensors)]
        sound = all(abs(number) <= 2 * MOST_DECIBELS for number in numbers)
        sound = sound and (row.seconds is None or abs(row.seconds) <= LONGEST)
        if not sound or not all(cosine is None or -1.001 <= cosine <= 1.001 for cosine in cosines):
            yield f"operators.{index}: this cannot be"
