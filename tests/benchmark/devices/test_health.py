"""What a board says of itself: its description, and when its numbers count for nothing."""

from __future__ import annotations

from typing import Any

import pytest
from edgepress.benchmark.devices import health
from edgepress.benchmark.devices.transport import DeviceError

PI: dict[str, Any] = {
    "architecture": "aarch64",
    "system": "Linux 6.6.31+rpt-rpi-v8",
    "python": "3.11.2",
    "executable": "/usr/bin/python3",
    "board": "Raspberry Pi 4 Model B Rev 1.4",
    "cpuinfo": "processor\t: 0\nBogoMIPS\t: 108.00\n",
    "cores": 4,
    "free": 1_000_000_000,
    "governors": ["ondemand"] * 4,
    "kilohertz": ["1500000"] * 4,
    "highest_kilohertz": ["1800000"] * 4,
    "millidegrees": ["48199"],
    "throttled": "throttled=0x0",
    "power": None,
    "versions": {"numpy": "1.26.4", "ai-edge-litert": "2.3.0"},
}
"""As a Raspberry Pi 4 under its own system answers."""


def test_what_it_is() -> None:
    words = "Raspberry Pi 4 Model B Rev 1.4, aarch64, 4 cores, Linux 6.6.31+rpt-rpi-v8, 1.50 GHz, 48 °C, ondemand"
    assert health.about(PI) == words
    jetson = PI | {"board": None, "cpuinfo": "model name\t: ARMv8 Processor rev 1 (v8l)\n", "millidegrees": ["-256000"]}
    jetson |= {"power": "NV Power Mode: MAXN\n0", "governors": []}
    assert health.about(jetson).startswith("ARMv8 Processor rev 1 (v8l), aarch64")
    assert health.about(jetson).endswith("power mode MAXN")


@pytest.mark.parametrize(
    ("before", "after", "valid"),
    [
        ("throttled=0x0", "throttled=0x0", True),
        (None, None, True),
        ("throttled=0x50000", "throttled=0x50000", True),  # once since the boot, but not now
        ("throttled=0x0", "throttled=0x40000", False),  # it happened meanwhile
        ("throttled=0x50000", "throttled=0xd0000", False),
        ("throttled=0x0", "throttled=0x4", False),
        ("throttled=0x4", "throttled=0x40000", False),
        ("throttled=0x1", "throttled=0x50000", False),
        ("VCHI initialization failed", "VCHI initialization failed", True),
    ],
)
def test_a_run_during_which_it_throttled_counts_for_nothing(before: Any, after: Any, valid: bool) -> None:
    why = health.throttled(PI | {"throttled": before}, PI | {"throttled": after})
    assert (why == "") == valid
    assert valid or why == f"it throttled while it was measured: {before} before, {after} after"


def test_a_clock_that_falls_under_a_governor_that_holds_it() -> None:
    fast, slow = PI | {"governors": ["performance"]}, PI | {"governors": ["performance"], "kilohertz": ["600000"] * 4}
    assert health.throttled(fast, slow) == "its clock fell from 1.50 to 0.60 GHz while it was measured"
    assert health.throttled(PI, PI | {"kilohertz": ["600000"] * 4}) == "", "`ondemand` idles after the run"


def test_what_measuring_needs() -> None:
    health.require("ssh://pi", "aarch64", PI, "litert")
    with pytest.raises(DeviceError, match=r"ssh://pi is aarch64, and the target is armv7l"):
        health.require("ssh://pi", "armv7l", PI, "litert")
    with pytest.raises(
        DeviceError, match=r"ssh://pi has no onnxruntime for Python 3.11.2 at /usr/bin/python3"
    ) as error:
        health.require("ssh://pi", None, PI, "onnxruntime")
    assert "`/usr/bin/python3 -m pip install onnxruntime`" in error.value.help
    health.require("ssh://pi", None, PI | {"versions": {"numpy": "1", "onnxruntime-gpu": "1.18"}}, "onnxruntime")
