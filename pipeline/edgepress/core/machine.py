"""Identify the machine and the library versions of a result."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .capacity import cores
from .results import Machine


def machine() -> Machine:
    """Describe this machine; on Linux with the instruction sets of its processor, elsewhere without."""
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.is_file() else ""
    model = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    return Machine(
        cpu=model[1].strip() if model else platform.processor() or "unknown",
        architecture=platform.machine(),
        cores=cores(),
        features=sorted(flags[1].split()) if flags else [],
        system=f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
    )


_PRODUCTS: tuple[str, ...] = ("avx512_vnni", "avx_vnni", "asimddp", "i8mm")
_WIDTHS: tuple[str, ...] = ("avx512f", "avx2", "asimd")


def instructions(machine: Machine) -> list[str]:
    """Return a processor's 8-bit dot products, on which integer outputs depend; without any, its widest vectors."""
    products = [name for name in machine.features if name in _PRODUCTS]
    return products or [name for name in machine.features if name in _WIDTHS][:1]


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Return installed versions, sorted by name; one that is not installed is left out."""
    installed = {}
    for name in sorted(set(distributions)):
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed
