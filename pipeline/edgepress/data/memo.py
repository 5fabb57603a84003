"""Keep arrays in the cache, each file with its own digest: one that is damaged, or not whole, counts as none."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.paths import replacing
from ..core.system_errors import SystemFault

if TYPE_CHECKING:
    import numpy as np

_DIGEST, _LENGTH = 32, 8
"""Bytes at the head of a file: the SHA-256 of what follows, and how long that is."""


def read(path: Path | None) -> dict[str, np.ndarray] | None:
    """Return the arrays of a file by name; None of one that is not there, cannot be read, or is damaged."""
    import numpy as np

    with suppress(OSError):
        if path is None or not path.is_file():
            return None
        size = path.stat().st_size
        with path.open("rb") as file:
            digest, length = file.read(_DIGEST), int.from_bytes(file.read(_LENGTH), "little")
            if size != _DIGEST + _LENGTH + length:  # else somebody's file of any size would be read
                return None
            content = file.read()
        if hashlib.sha256(content).digest() == digest:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return dict(arrays)
    return None


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays of plain values, all or nothing. Raises: SystemFault where `path` cannot be written."""
    import numpy as np

    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    content = buffer.getbuffer()
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(hashlib.sha256(content).digest() + len(content).to_bytes(_LENGTH, "little"))
        file.write(content)


def remembered(
    cache: Path | None, material: object, make: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Return the arrays that `make` returned for the same `material`, which is plain JSON."""
    key = hashlib.sha256(json.dumps(material).encode()).hexdigest()
    path = cache and cache / "remembered" / f"{key}.npz"
    if (known := read(path)) is not None:
        return known
    made = make()
    with suppress(SystemFault):  # a cache that cannot be written can be used; a run that has to write tells it
        if path is not None:
            write(path, made)
    return made
