"""Write tables of a FlatBuffers schema that no package here has classes of.

https://flatbuffers.dev/internals/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import flatbuffers
import numpy as np

ALIGNMENT = 16
"""Of bytes, which are a buffer of their own."""


class Byte(int):
    """A value of an enumeration of bytes, such as the type of a union."""


class Table(NamedTuple):
    """The fields of a table by their place in the schema; a union takes two places: its type, and its table."""

    fields: dict[int, Field]


Field = str | bytes | Byte | float | Table | Sequence["Table"] | Sequence[float]


def packed(root: Table, identifier: bytes) -> bytes:
    """Return the buffer of a root table; the same table gives the same bytes."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(_offset(builder, root), identifier)
    return bytes(builder.Output())


def _offset(builder: flatbuffers.Builder, value: Field) -> int:
    """Write what is not stored in its table, and return where it is."""
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, bytes):
        builder.StartVector(1, len(value), ALIGNMENT)
        for byte in reversed(value):
            builder.PrependUint8(byte)
        return int(builder.EndVector())
    if isinstance(value, Table):
        return _table(builder, value)
    assert isinstance(value, Sequence), f"{value!r} is stored in its table"
    if not all(isinstance(part, Table) for part in value):
        return int(builder.CreateNumpyVector(np.array(value, np.float32)))
    offsets = [_offset(builder, part) for part in value]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _table(builder: flatbuffers.Builder, table: Table) -> int:
    placed = {place: value for place, value in table.fields.items() if isinstance(value, Byte | float)}
    offsets = {place: _offset(builder, value) for place, value in table.fields.items() if place not in placed}
    builder.StartObject(max(table.fields, default=-1) + 1)
    for place, offset in offsets.items():
        builder.PrependUOffsetTRelativeSlot(place, offset, 0)
    for place, value in placed.items():
        if isinstance(value, Byte):
            builder.PrependInt8Slot(place, int(value), 0)
        else:
            builder.PrependFloat32Slot(place, value, 0.0)
    return int(builder.EndObject())
