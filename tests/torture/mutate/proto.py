"""Damage protobuf messages, such as ONNX models, by their fields."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

INTEGERS = (0, 1, -1, 2, 7, 255, 65536, 2**31 - 1, -(2**31), 2**31, 2**40, 2**63 - 1, -(2**63))
FLOATS = (0.0, -1.0, 1e-38, 1e38, float("inf"), float("-inf"), float("nan"))
WORDS = (
    "",
    "\x1b[31m",
    "\n::error::injected",
    "\u202e",
    "input",
    "output",
    "x" * 5000,
    "../../etc/passwd",
    "com.microsoft",
    "ai.onnx.ml",
    "Loop",
    "If",
    "Scan",
    "Resize",
    "Cast",
    "Gather",
    "ConstantOfShape",
    "Expand",
    "Div",
    "Mod",
    "Reshape",
)
_INTEGER = (
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
    FieldDescriptor.CPPTYPE_ENUM,
)
_REAL = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)


def changed(content: bytes, kind: type[Message], random: Random) -> bytes:
    """Return the message of `content` with one to a few of its fields changed."""
    message = kind()
    message.ParseFromString(content)
    for _ in range(random.choice((1, 1, 2, 3, 6))):
        # A field of a message deep within is as likely as one of the message itself.
        places = list(fields(message))
        _change(*random.choice(places), places, random)
    return message.SerializeToString()


def fields(message: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every field that is set, with the message that holds it."""
    for field, value in message.ListFields():
        yield message, field
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            for inner in value if field.is_repeated else (value,):
                yield from fields(inner)


def _change(message: Any, field: Any, places: list[tuple[Any, Any]], random: Random) -> None:
    if random.random() < 0.1:
        message.ClearField(field.name)
    elif field.is_repeated:
        _change_repeated(getattr(message, field.name), field, places, random)
    elif field.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE:
        _assign(message, field.name, _other(field, getattr(message, field.name), places, random))


def _change_repeated(items: Any, field: Any, places: list[tuple[Any, Any]], random: Random) -> None:
    at = random.randrange(len(items))
    match random.randrange(4):
        case 0:
            del items[at]
        case 1:
            items.append(items[at])
        case 2:
            other = list(items)
            random.shuffle(other)
            del items[:]
            items.extend(other)
        case 3 if field.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE:
            _assign(items, at, _other(field, items[at], places, random))


def _assign(holder: Any, key: str | int, value: Any) -> None:
    try:
        if isinstance(key, str):
            setattr(holder, key, value)
        else:
            holder[key] = value
    except (ValueError, TypeError):
        pass  # 2**40 in a field of 32 bits: the message stays as it is


def _other(field: Any, value: Any, places: list[tuple[Any, Any]], random: Random) -> Any:
    """Return another value of the field's type; a name is mostly another name of the same model."""
    if field.cpp_type in _INTEGER:
        return random.choice((*INTEGERS, value + 1, value - 1, value * 1000, *range(20)))
    if field.cpp_type in _REAL:
        return random.choice((*FLOATS, -value))
    if field.type == FieldDescriptor.TYPE_BYTES:
        return random.choice(
            (b"", value[: len(value) // 2], value * 2, b"\xff" * len(value), random.randbytes(len(value)))
        )
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        names = [item for m, f in places if f.name in ("input", "output", "name") for item in _strings(m, f)]
        return random.choice([*WORDS, *names * 4])
    return not value


def _strings(message: Any, field: Any) -> list[str]:
    value = getattr(message, field.name)
    return [value] if isinstance(value, str) else [each for each in value if isinstance(each, str)]
