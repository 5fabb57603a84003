"""Damage bytes, and text by its words."""

from __future__ import annotations

import re
from random import Random

INTERESTING = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x80",
    b"\xff\xff\xff\x7f",
    b"\x01\x00\x00\x00",
    b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xff" * 9 + b"\x01",
)
"""Limits of integers, also as protobuf has them."""
WORDS = (
    "",
    "null",
    "~",
    "true",
    "-1",
    "0",
    "1e309",
    ".nan",
    "-.inf",
    "9" * 400,
    "0x7fffffffffffffff",
    "1:30",
    "2001-01-01",
    "''",
    '"\\0"',
    '"\\ud800"',
    '"\\e[31m"',
    '"\\n::error::injected"',
    '"\\u202e"',
    "/dev/zero",
    "/dev/stdin",
    "/etc/passwd",
    "./fifo",
    "../" * 40,
    "a" * 300,
    "é" * 200,
    "%s%n",
    "{0}",
    "$HOME",
    "`id`",
    "nan ms",
    "-5 MB",
    "0 ms",
    "1e400 MB",
    "101%",
    "-1%",
    "!!binary x",
    "!!python/object/apply:os.system [id]",
    "!!python/name:os.system",
    "&a [*a]",
    "*nothing",
    "<<: *a",
    "[]",
    "{}",
    "[[[[[[[[[[]]]]]]]]]]",
    "{a: {a: {a: {a: 1}}}}",
    "- -",
    "? x",
    "|",
    ">",
    "---",
    "...",
    "%YAML 9.9",
    "\t",
    "\ufeff",
    "\u2028",
    "\x85",
    "\x00",
    "\x1b[2J",
    "::error::x",
    "#",
    "@x",
    ": :",
    "1_000",
    "0o17",
    "=",
    "on",
    "NO",
    ".5",
    "+",
    "-",
)
"""What people and attackers write where something else belongs."""
_TOKEN = re.compile(r"\s+|[\w.%/-]+|.", re.DOTALL)


def changed(content: bytes, random: Random) -> bytes:
    """Change one to a few places of `content`: bits, bytes, pieces."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 3, 8, 30))):
        if not data:
            break
        at, length = random.randrange(len(data)), random.choice((1, 1, 2, 4, 8, 16, 64))
        match random.randrange(7):
            case 0:
                data[at] ^= 1 << random.randrange(8)
            case 1:
                data[at] = random.randrange(256)
            case 2:
                piece = random.choice(INTERESTING)
                data[at : at + len(piece)] = piece
            case 3:
                del data[at : at + length]
            case 4:
                data[at:at] = random.randbytes(length)
            case 5:
                to = random.randrange(len(data))
                data[to : to + length] = data[at : at + length]
            case 6 if random.random() < 0.3:
                del data[at:]
    return bytes(data)


def reworded(text: str, random: Random, words: tuple[str, ...] = WORDS) -> str:
    """Exchange, repeat, move or delete words of `text`, or put others in their place."""
    tokens = _TOKEN.findall(text)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        at = random.randrange(len(tokens))
        match random.randrange(6):
            case 0 | 1:
                tokens[at] = random.choice(words)
            case 2:
                del tokens[at : at + random.choice((1, 2, 5))]
            case 3:
                tokens.insert(at, random.choice(tokens))
            case 4:
                other = random.randrange(len(tokens))
                tokens[at], tokens[other] = tokens[other], tokens[at]
            case 5:
                tokens[at] = tokens[at] * random.choice((2, 50, 2000))
        tokens = tokens or [""]
    return "".join(tokens)
