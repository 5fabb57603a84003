"""Implement `doctor`: check what measuring needs, and how to fix it.

It inspects this machine or a target's device and changes nothing.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..benchmark.devices import agent, android, health
from ..benchmark.devices.connect import connect
from ..benchmark.devices.transport import DeviceError, Transport
from ..benchmark.emulator import qemu
from ..config.target import Target
from ..core import installation, machine, printable
from ..core.runtimes import RUNTIMES, Row, packages
from ..core.units import show_bytes

BUSY = 0.5
"""Load a core from which measuring is disturbed."""
ROOM = 200e6
"""Bytes that a model and its runtime's scratch should find free."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at; `help` says what to do where it is not as it should be.

    `needed` marks what measuring cannot do without.
    """

    about: str
    help: str = ""
    needed: bool = True

    @property
    def missing(self) -> bool:
        return bool(self.help) and self.needed

    def __str__(self) -> str:
        mark = "ok  " if not self.help else "MISS" if self.needed else "note"
        help = f"\n      = help: {printable.word(self.help)}" if self.help else ""
        return f"{mark}  {printable.word(self.about)}{help}"


def here() -> list[Check]:
    """Check this machine."""
    checks = [_package(row) for row in RUNTIMES.values()]
    checks += _installation()
    for program, purpose in {"ssh": "boards over ssh://", "adb": "Android over adb://"}.items():
        there = shutil.which(program)
        checks.append(Check(f"{program}, for {purpose}", "" if there else f"install {program}", needed=False))
    versions = qemu.versions()
    shown = ", ".join(f"{name} {version}" for name, version in versions.items()) if versions else "none"
    checks.append(Check(f"emulator of boards: {shown}", "" if versions else qemu.INSTALL, needed=False))
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    help = "stop other work: verdicts take longer, and on several threads there is none"
    checks.append(Check(f"load {busy:.2f} a core", help if busy > BUSY else "", needed=False))
    return [*checks, *_state(agent.info(tempfile.gettempdir(), packages()))]


def _installation() -> Iterator[Check]:
    faults, versions = installation.faults(), installation.versions()
    for fault in faults:
        yield Check(fault.message, fault.help)
    if not faults:
        shown = ", ".join(f"{name} {versions[name]}" for name in ("numpy", "onnx", "torch") if name in versions)
        yield Check(f"{len(versions)} packages can be imported and fit each other: {shown}, …")
    for clash in installation.shadowed():
        yield Check(clash.message, clash.help, needed=False)


def _package(row: Row) -> Check:
    if absent := row.absent():
        return Check(absent.message, absent.help, needed=row.needed)
    versions = machine.versions(row.packages)
    return Check(", ".join(f"{name} {version}" for name, version in versions.items()) or row.package)


def of(target: Target) -> list[Check]:
    """Check the device of a target, or its references."""
    if target.reach == "none":
        count = len(target.references)
        about = f"{target.name} is estimated from {count} published latenc{'y' if count == 1 else 'ies'}"
        help = "`edgepress calibrate` measures them on a device; `reach: ssh://USER@HOST` measures the model itself"
        return [Check(about, help, needed=not count)]
    if target.reach == "local":
        return [Check(f"{target.name} is this machine"), *here()]
    return list(_attached(target))


def _attached(target: Target) -> Iterator[Check]:
    try:
        with connect(target.reach, target.python, target.binary) as device:
            info = device.info()
            yield Check(f"{target.reach} is reachable: {health.about(info)}")
            try:
                health.require(target.reach, target.architecture, info, target.runtime)
                versions = ", ".join(f"{name} {version}" for name, version in info["versions"].items())
                yield Check(f"Python {info['python']}: {versions}") if info["python"] else _program(target, device)
            except DeviceError as error:
                yield Check(error.message, error.help)
            yield from _state(info)
    except DeviceError as error:
        yield Check(error.message, error.help or "see above")


def _program(target: Target, device: Transport) -> Check:
    """Check the program that measures where there is no Python."""
    if target.binary is None:
        return Check(f"{target.reach} has no Python to measure with", android.PROGRAM)
    if device.run(["test", "-x", target.binary]).code:
        return Check(f"`{printable.word(target.binary)}` is no program there", "`adb push` it there, and `chmod +x` it")
    return Check(printable.word(target.binary))


def _state(info: dict[str, Any]) -> Iterator[Check]:
    """Yield the conditions that disturb timings without preventing them."""
    free = info["free"]
    yield Check(f"{show_bytes(free)} free in its /tmp", "free some space" if free < ROOM else "", needed=False)
    if governors := sorted(set(info["governors"])):
        calm = governors == ["performance"]
        help = "" if calm else "`sudo cpupower frequency-set -g performance`: clocks that wander widen every interval"
        yield Check(f"governor {', '.join(governors)}", help, needed=False)
    if why := health.throttled({"throttled": info["throttled"]}, {"throttled": info["throttled"]}):
        yield Check(why.replace(" while it was measured", ""), "cool it, or power it better", needed=False)
