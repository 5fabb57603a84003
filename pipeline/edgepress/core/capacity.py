"""Tell how much this machine, or the container in it, may use: cores, memory, an accelerator."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_BOUNDS = ("memory.max", "memory/memory.limit_in_bytes")
"""Where a container's limit stands, in the two versions of cgroups."""

_ACCELERATORS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Of NVIDIA, of AMD, and of either within Windows."""


def memory() -> int | None:
    """Return the bytes of memory and swap that this machine or its container has; None where it does not say."""
    info = Path("/proc/meminfo")
    if not info.is_file():
        return None
    lines = dict(line.split(":", 1) for line in info.read_text().splitlines())
    whole, swap = (int(lines[name].split()[0]) * 1024 if name in lines else 0 for name in ("MemTotal", "SwapTotal"))
    bounds = (Path("/sys/fs/cgroup", name) for name in _BOUNDS)
    written = [bound.read_text().strip() for bound in bounds if bound.is_file()]
    return min([whole, *(int(bound) for bound in written if bound.isdecimal())]) + swap


def has_accelerator() -> bool:
    """Tell whether there is a graphics processor that torch may train on; its library takes seconds to say so."""
    return any(Path(device).exists() for device in _ACCELERATORS)


def cores() -> int:
    """Return how many cores this process may use: those of its affinity mask, or fewer by the CPU quota of a cgroup."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *(math.ceil(share) for share in _quotas())]))


def _quotas() -> Iterator[float]:
    """Yield the quotas of the control groups of this process and of those above it, in cores.

    A container may see its own group as the root, or its path on the host, which is not mounted there.
    """
    lines = _GROUPS.read_text(encoding="utf-8").splitlines() if _GROUPS.is_file() else []
    for number, controllers, path in (line.split(":", 2) for line in lines):
        if number == "0":  # version 2
            roots, files = [_CGROUPS, _CGROUPS / "unified"], ["cpu.max"]
        elif "cpu" in controllers.split(","):
            roots, files = [_CGROUPS / controllers, _CGROUPS / "cpu"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        inside = Path(path.lstrip("/"))
        for root in roots:
            for folder in (root / inside, *(root / above for above in inside.parents)):
                with suppress(OSError, ValueError, ZeroDivisionError):  # no such group, or `max`: no quota
                    quota, period = (float(n) for file in files for n in (folder / file).read_text().split())
                    if quota > 0:
                        yield quota / period


_GROUPS, _CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
