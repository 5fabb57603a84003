"""What the header of an .npz promises is judged before memory is taken for it."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from edgepress.core.errors import UserError
from edgepress.data import npz

from .made import arrays


def member(shape: str, descr: str = "'<f4'", data: bytes = b"") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def archive(content: bytes, method: int = zipfile.ZIP_STORED) -> bytearray:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        made.writestr("x.npy", content)
        made.writestr("y.npy", member("(2,)", "'<i8'", bytes(16)))
    return bytearray(file.getvalue())


def lying(offset: int, form: str, value: int) -> bytearray:
    """A sound archive, but for one field of its directory's first entry."""
    content = archive(member("(2,)", data=bytes(8)), zipfile.ZIP_DEFLATED)
    struct.pack_into(form, content, content.index(b"PK\x01\x02") + offset, value)
    return content


WRONG = {
    "terabytes": (archive(member("(1000000000000,)")), "`x` promises 1000000000000 of float32, 4,000,000,000,000 byt"),
    "a product that overflows": (archive(member("(4294967296, 4294967296)")), "`x` promises 4294967296 × 4294967296"),
    "a negative shape": (archive(member("(-2, -3)", data=bytes(24))), "`x` has the shape -2 × -3"),
    "objects": (archive(member("(2,)", "'|O'", b"x" * 99)), "`x` holds Python objects"),
    "no bytes": (archive(member("(1000000000000,)", "'|V0'")), "`x` promises 1000000000000 of |V0, 0 bytes"),
    "long text": (archive(member("(2,)", "'<U500000000'", bytes(8))), "`x` promises 2 of <U500000000, 4,000,000,000"),
    "a single value": (archive(member("()", data=bytes(4))), "`x` is a single value"),
    "digits": (archive(member(f"({'9' * 5000},)")), "`x` cannot be read: Cannot parse header"),
    "brackets": (archive(member("(" * 3000)), "`x` cannot be read"),
    "no array": (archive(b"hello"), "`x` cannot be read"),
    "more than deflate makes": (lying(24, "<I", 0xFFFFFFF0), "`x` promises 4,294,967,280 bytes, and has"),
    "longer than the file": (lying(20, "<I", 0x7FFFFFFF), "its members overlap, or go on behind the end"),
    "encrypted": (lying(8, "<H", 1), "`x` is encrypted"),
    "a method that there is not": (lying(10, "<H", 99), "`x` cannot be read: That compression method"),
    "damaged": (lying(16, "<I", 5), "`x` cannot be read: Bad CRC-32"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_archives_are_refused_with_the_array(name: str, tmp_path: Path) -> None:
    content, words = WRONG[name]
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        npz.arrays(path)
    assert str(caught.value).startswith("error: `x.npz`: ")
    assert words in str(caught.value)


def test_all_that_numpy_writes_is_read(tmp_path: Path) -> None:
    x = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    fields = np.zeros(2, [("a", "<f4"), ("b", "<i8", 3)])
    arrays(tmp_path / "x.npz", x=x, y=np.array(["a", "ü"]), fields=fields)
    read = npz.arrays(tmp_path / "x.npz")
    assert read["x"].tolist() == x.tolist()
    assert read["fields"].dtype == fields.dtype
    assert read["y"].tolist() == ["a", "ü"]
