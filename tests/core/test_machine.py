"""Which machine a result belongs to."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import pytest
from edgepress.core import capacity
from edgepress.core.machine import machine, versions


def test_this_machine() -> None:
    found = machine()
    assert found.cores >= 1
    assert found.architecture == platform.machine()
    assert found.features == sorted(found.features)
    if platform.system() == "Linux":
        assert found.cpu != "unknown"
        assert found.features
    assert machine() == found


V1, V1_FILES = "2:cpu,cpuacct:/box\n1:memory:/box\n", ("cpu.cfs_quota_us", "cpu.cfs_period_us")


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/box/inner\n", {"box/inner/cpu.max": "max 100000\n", "box/cpu.max": "150000 100000\n"}, 2),
        ("0::/not/mounted/here\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/box\n", {"box/cpu.max": "9900000 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        (V1, {f"cpu,cpuacct/box/{V1_FILES[0]}": "300000\n", f"cpu,cpuacct/box/{V1_FILES[1]}": "100000\n"}, 3),
        (V1, {f"cpu/{V1_FILES[0]}": "100000\n", f"cpu/{V1_FILES[1]}": "100000\n"}, 1),
        (V1, {f"cpu/{V1_FILES[0]}": "-1\n", f"cpu/{V1_FILES[1]}": "100000\n"}, 8),
        (V1, {"cpu/cpu.max": "100000 100000\n"}, 8),
        (None, {}, 8),
    ],
)
def test_a_quota_of_a_control_group_counts(
    groups: str | None, files: dict[str, str], cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if groups is not None:
        (tmp_path / "cgroup").write_text(groups)
    for name, text in files.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(text)
    monkeypatch.setattr(capacity, "_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(capacity, "_CGROUPS", tmp_path / "fs")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert machine().cores == cores


def test_versions_are_sorted_and_leave_out_what_is_not_there() -> None:
    found = versions(["torch", "no-such-distribution", "numpy", "torch"])
    assert list(found.items()) == [("numpy", version("numpy")), ("torch", version("torch"))]
