"""Read a device's identity, its fitness to be measured, and throttling."""

from __future__ import annotations

import re
from statistics import median
from typing import Any

from ...core.results import Runtime
from ...core.runtimes import RUNTIMES
from .transport import DeviceError

NOTED = ("governors", "kilohertz", "millidegrees", "throttled", "power", "free")
"""What may change while it is measured."""
_NOW, _SINCE_BOOT = 0x0F, 0xF0000
"""Of `vcgencmd get_throttled`: too little voltage, capped, throttled or too warm, now and once since the boot."""


def about(info: dict[str, Any]) -> str:
    """Return `Raspberry Pi 4 Model B, aarch64, 4 cores, Linux 6.6, 1.50 GHz, 48 °C, performance`."""
    words = [info["board"] or processor(info["cpuinfo"]), info["architecture"], f"{info['cores']} cores"]
    words.append(info["system"])
    if speeds := _numbers(info["kilohertz"]):
        words.append(f"{max(speeds) / 1e6:.2f} GHz")
    if degrees := _numbers(info["millidegrees"]):
        words.append(f"{max(degrees) / 1e3:.0f} °C")
    words += dict.fromkeys(info["governors"])
    if power := re.search(r"NV Power Mode: (\S+)", info["power"] or ""):
        words.append(f"power mode {power[1]}")
    return ", ".join(word for word in words if word)


def processor(cpuinfo: str) -> str:
    """Return the processor's name; empty where it has none."""
    match = re.search(r"^(?:model name|Hardware)\s*: (.+)$", cpuinfo, re.MULTILINE)
    return match[1].strip() if match else ""


def noted(info: dict[str, Any]) -> dict[str, Any]:
    """Return what is stored beside the times."""
    return {name: info[name] for name in NOTED} | {"versions": info["versions"], "python": info["python"]}


def require(reach: str, architecture: str | None, info: dict[str, Any], runtime: Runtime) -> None:
    """Check the device at `reach`. Raises: DeviceError for another `architecture`, and where `runtime` is missing."""
    if architecture and info["architecture"] != architecture:
        raise DeviceError(
            f"{reach} is {info['architecture']}, and the target is {architecture}",
            "is it the right device? `architecture:` in the target names the expected one",
        )
    if info["python"] is None:  # a program measures there, and names itself what it lacks
        return
    known = RUNTIMES[runtime].packages
    lacking = [name for name, has in (("numpy", {"numpy"}), (known[0], set(known))) if not has & set(info["versions"])]
    if lacking:
        raise DeviceError(
            f"{reach} has no {' and no '.join(lacking)} for Python {info['python']} at {info['executable']}",
            f"there: `{info['executable']} -m pip install {' '.join(lacking)}`; `python:` in the target names another",
        )


def throttled(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Return why the times count for nothing; empty when nothing slowed the device down."""
    if (after.get("throttled") or "").startswith("Thermal Status") and not after["throttled"].endswith(": 0"):
        return f"it throttled while it was measured: {after['throttled']}"
    first, last = (_bits(reading.get("throttled")) for reading in (before, after))
    if last is not None and (last & _NOW or (first or 0) & _NOW or (last & ~(first or 0)) & _SINCE_BOOT):
        return f"it throttled while it was measured: {before['throttled']} before, {after['throttled']} after"
    old, new = (_numbers(reading.get("kilohertz") or []) for reading in (before, after))
    if old and new and median(new) < 0.5 * median(old) and set(after.get("governors") or []) == {"performance"}:
        return f"its clock fell from {median(old) / 1e6:.2f} to {median(new) / 1e6:.2f} GHz while it was measured"
    return ""


def _bits(text: str | None) -> int | None:
    match = re.search(r"throttled=0x([0-9a-fA-F]+)", text or "")
    return int(match[1], 16) if match else None


def _numbers(texts: list[str]) -> list[int]:
    return [int(text) for text in texts if text.lstrip("-").isdigit()]
