"""Which machine a result belongs to."""

from __future__ import annotations

import platform
from importlib.metadata import version

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


def test_versions_are_sorted_and_leave_out_what_is_not_there() -> None:
    found = versions(["torch", "no-such-distribution", "numpy", "torch"])
    assert list(found.items()) == [("numpy", version("numpy")), ("torch", version("torch"))]
