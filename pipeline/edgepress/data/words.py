"""Describe arrays and lists of names, for error messages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

SHOWN = 5
"""How many of many wrong things are named."""


def class_order(name: str) -> tuple[bool, int, str]:
    """Return a sort key: whole numbers by value, then other names by their letters."""
    number = re.fullmatch(r"[+-]?[0-9]{1,4000}", name) is not None  # int() refuses more digits than 4,300
    return not number, int(name) if number else 0, name


def several(wrong: Sequence[object]) -> str:
    """List the first few, and how many more there are."""
    more = len(wrong) - SHOWN
    return ", ".join(map(str, wrong[:SHOWN])) + (f" and {more} more" if more > 0 else "")


def described(array: np.ndarray) -> str:
    return f"{array.dtype} {array.shape}"


def by(size: Sequence[int]) -> str:
    """Return sides in pixels: `64 × 48`."""
    return " × ".join(map(str, size))
