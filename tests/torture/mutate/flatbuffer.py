"""Damage TFLite files by the fields of their objects."""

from __future__ import annotations

from random import Random
from typing import Any

import flatbuffers
import numpy as np

from tests.torture.mutate import data

INTEGERS = (0, 1, -1, 2, 3, 4, 9, 17, 100, 127, 255, 65535, 2**31 - 1, -(2**31), 1000000)
_IDENTIFIER = b"TFL3"


def changed(content: bytes, random: Random) -> bytes:
    """Return the model with one to a few of its fields changed; bytes are changed where the result cannot be packed."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content)
    for _ in range(random.choice((1, 1, 2, 3, 6))):
        holder, name = random.choice(list(fields(model)))
        setattr(holder, name, _other(getattr(holder, name), random))
    builder = flatbuffers.Builder(1 << 16)
    try:
        builder.Finish(model.Pack(builder), _IDENTIFIER)
        return bytes(builder.Output())
    except Exception:  # of the library's generated code, for values that no file can hold
        return data.changed(content, random)


def fields(value: Any) -> list[tuple[Any, str]]:
    """Return every field within the objects of a model, with the object that holds it."""
    found = []
    for name, inner in vars(value).items():
        found.append((value, name))
        for each in inner if isinstance(inner, list) else [inner]:
            if hasattr(each, "Pack"):
                found += fields(each)
    return found


def _other(value: Any, random: Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return random.choice((*INTEGERS, value + 1, value - 1))
    if isinstance(value, float):
        return random.choice((0.0, -1.0, 1e-38, 1e38, float("inf"), float("nan")))
    if isinstance(value, bytes | str):
        words = ("", "\x1b[31m", "\n::error::injected", "x" * 5000, "\x00")
        return random.choice(words)
    if isinstance(value, np.ndarray):
        return _array(value, random)
    if isinstance(value, list) and value:
        at = random.randrange(len(value))
        return random.choice(
            (value[:at], value[at:], [*value, value[at]], value[:at] + value[at + 1 :], [], value[::-1])
        )
    return None


def _array(value: Any, random: Random) -> Any:
    value = value.copy()
    if value.size and random.random() < 0.7:
        limits = np.iinfo(value.dtype) if value.dtype.kind in "iu" else None
        choices = [n for n in INTEGERS if limits is None or limits.min <= n <= limits.max]
        value[random.randrange(value.size)] = random.choice(choices)
        return value
    return random.choice((value[:0], value[: value.size // 2], np.concatenate([value, value]), None))
