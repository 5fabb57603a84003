"""Read the arrays of an .npz, whose headers are judged before anything is allocated for them.

A header of a hundred bytes can promise terabytes: what it promises has to be what the archive holds, and that has to
fit into memory.
"""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from ..core import foreign
from ..core.errors import UserError, first_line
from .images import bounded

_WRITE = "write it with numpy.savez"
_DENSEST = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1032}
"""Bytes that one byte can stand for, at most."""
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, TypeError, KeyError, OverflowError, RuntimeError,
    SyntaxError, RecursionError, MemoryError, tokenize.TokenError,
)  # fmt: skip
"""What zipfile and numpy raise for damaged files."""


def arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays by name. Raises: UserError that names the one at fault; pickled objects are never loaded."""
    length = foreign.size(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(members, length, path.name)
            return {member.filename.removesuffix(".npy"): _array(archive, member, path.name) for member in members}
    except UserError:
        raise
    except _DAMAGED as error:
        raise UserError(f"`{path.name}` is not an .npz: {first_line(error)}", _WRITE) from error


def _check_members(members: list[zipfile.ZipInfo], length: int, name: str) -> None:
    """Refuse an archive whose members cannot be what it lists."""
    seen: set[str] = set()
    for member in members:
        array = member.filename.removesuffix(".npy")
        if array in seen:
            raise UserError(f"`{name}` has two arrays `{array}`", _WRITE)
        seen.add(array)
        if member.flag_bits & 1:
            raise UserError(f"`{name}`: `{array}` is encrypted", _WRITE)
        if member.file_size > _DENSEST.get(member.compress_type, math.inf) * member.compress_size:
            message = f"`{name}`: `{array}` promises {member.file_size:,} bytes, and has {member.compress_size:,}"
            raise UserError(message, _WRITE)
    if sum(member.compress_size for member in members) > length:
        raise UserError(f"`{name}`: its members overlap, or go on behind the end of the file", _WRITE)
    bounded(sum(member.file_size for member in members), "its arrays", name)


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> np.ndarray:
    array = member.filename.removesuffix(".npy")
    try:
        with archive.open(member) as file:
            _check_header(file, member.file_size, f"`{name}`: `{array}`")
        with archive.open(member) as file:
            return np.asarray(npy.read_array(file, allow_pickle=False))
    except UserError:
        raise
    except _DAMAGED as error:
        raise UserError(f"`{name}`: `{array}` cannot be read: {first_line(error)}", _WRITE) from error


def _check_header(file: IO[bytes], length: int, about: str) -> None:
    """Refuse an array whose header does not describe the `length` bytes that are there."""
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise UserError(f"{about} is of a version of .npy that numpy does not have", _WRITE)
    # Version 3 differs in the encoding of names of fields alone, which are refused.
    header = npy.read_array_header_1_0(file) if version == (1, 0) else npy.read_array_header_2_0(file)
    shape, _, dtype = header
    if dtype.hasobject:
        raise UserError(
            f"{about} holds Python objects, which are pickled and never loaded",
            "save arrays of numbers or of text: `numpy.asarray(x, dtype=…)`",
        )
    shown = " × ".join(map(str, shape)) or "a single value"
    if min(shape, default=0) < 0:
        raise UserError(f"{about} has the shape {shown}", _WRITE)
    if not shape:
        raise UserError(f"{about} is a single value", "write an array with one row for each example")
    needed, there = math.prod(shape) * dtype.itemsize, length - file.tell()
    if needed > there or not dtype.itemsize:
        raise UserError(f"{about} promises {shown} of {dtype}, {needed:,} bytes, and has {there:,}", _WRITE)
