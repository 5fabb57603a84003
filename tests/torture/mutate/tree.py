"""Damage values of YAML or JSON by their structure: other types, numbers, depths, keys."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import yaml

VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    "",
    0,
    -1,
    1,
    1e-300,
    1e300,
    math.nan,
    math.inf,
    -math.inf,
    2**31,
    -(2**63),
    10**30,
    "nan",
    "x" * 300,
    "\x00",
    "\x1b[31mred\x1b[0m",
    "\n::error::injected",
    "<script>",
    "|`x`|",
    "\u202eabc",
    "/dev/zero",
    "/etc/passwd",
    "./fifo",
    "../../x",
    "50%",
    "-5 ms",
    "1e400 MB",
    "-1 points",
    "0 points",
    [],
    {},
    [[]],
    [None],
    {"": None},
    [1, "a", {}],
)
"""What stands where something else belongs."""
NUMBERS: tuple[Any, ...] = (
    0,
    0.0,
    -1,
    -0.5,
    1e-300,
    1e300,
    math.nan,
    math.inf,
    -math.inf,
    None,
    "1",
    2**70,
    True,
    [],
    0.999,
    7,
)


def walk(value: Any, random: Random) -> tuple[Any, ...]:
    """Return the path of a value within `value`: each key is as likely as its neighbours, however much is below it."""
    path: list[Any] = []
    while isinstance(value, dict | list) and value and (not path or random.random() < 0.8):
        key = random.choice(list(value)) if isinstance(value, dict) else random.randrange(len(value))
        path.append(key)
        value = value[key]
    return tuple(path)


def changed(value: Any, random: Random, values: Sequence[Any] = VALUES) -> Any:
    """Return a copy of `value`, changed at one to a few of its places."""
    value = copy.deepcopy(value)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if path := walk(value, random):
            _change(value, path, random, values)
    return value


def _change(value: Any, path: tuple[Any, ...], random: Random, values: Sequence[Any]) -> None:
    holder = at(value, path[:-1])
    key = path[-1]
    match random.randrange(8):
        case 0 | 1 | 2:
            holder[key] = copy.deepcopy(random.choice(values))
        case 3:
            del holder[key]
        case 4:
            holder[key] = copy.deepcopy(at(value, walk(value, random)))
        case 5:
            holder[key] = [holder[key]] if random.random() < 0.5 else {"x": holder[key]}
        case 6 if isinstance(holder, dict):
            holder[random.choice((*holder, "unknown", "use", "name", "from", "\x1b[1m", "a" * 300))] = holder.pop(key)
        case 6:
            holder.insert(key, copy.deepcopy(holder[key]))
        case 7 if isinstance(holder[key], bool | int | float):
            holder[key] = random.choice((-holder[key], holder[key] * 10**6, holder[key] / 10**6, holder[key] + 1))
        case 7:
            for _ in range(random.choice((3, 60, 400))):
                holder[key] = [holder[key]]


def numbers_changed(value: Any, random: Random) -> Any:
    """Return a copy of `value` in which some numbers, or all of one name, are others."""
    value = copy.deepcopy(value)
    like: tuple[Any, ...] = ()
    while not isinstance(at(value, like), int | float):
        like = walk(value, random)
    named = next((key for key in reversed(like) if isinstance(key, str)), None)
    same = [path for path in numbers(value) if named in path] if random.random() < 0.5 else [like]
    other = random.choice(NUMBERS)
    for path in same:
        at(value, path[:-1])[path[-1]] = other
    return value


def numbers(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each number within `value`."""
    if isinstance(value, int | float):
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from numbers(each, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def as_yaml(value: Any, random: Random) -> str:
    """Write `value` as a person or a program would: in blocks, in flow, or as JSON."""
    try:
        match random.randrange(3):
            case 0:
                return yaml.safe_dump(value, sort_keys=False)
            case 1:
                return yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1 << 30)
            case _:
                return json.dumps(value)
    except RecursionError:
        return "[" * 2000
