"""The photos that other tests learn from are the same bytes each time, and are read as they were drawn."""

from __future__ import annotations

from pathlib import Path

from edgepress.data.load import load_dataset
from edgepress.data.source import Source

from ..photos import make


def test_photos(tmp_path: Path) -> None:
    for name in "ab":
        make(tmp_path / name, 43)
    one, two = (sorted(path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*.jpg")) for name in "ab")
    assert one == two
    assert len(one) == 43
    assert all((tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes() for path in one)
    found = load_dataset(Source(source=str(tmp_path / "a")))
    assert (len(found.labels), found.input.shape) == (10, (3, 96, 96))
