"""Write a .zip whose bytes follow from its content alone."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from ...core.paths import replacing

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first time that the format has."""
UNIX, MODE = 3, 0o100644


def write(path: Path, folder: str, files: Mapping[str, bytes]) -> None:
    """Write `files` by name into `folder` of the archive, sorted; it takes the place of `path` when it is whole."""
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(f"{folder}/{name}", EPOCH)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, UNIX, MODE << 16
            packed.writestr(entry, content)
