"""Connect to the device that a target's `reach` names."""

from __future__ import annotations

from collections.abc import Callable

from .transport import Connection


def connect(reach: str, python: str = "python3", binary: str | None = None) -> Connection:
    """Connect to the device at `reach`; leaving the context removes everything that was pushed."""
    scheme, _, address = reach.partition("://")
    opened: dict[str, Callable[[], Connection]] = {
        "local": _local,
        "ssh": lambda: _ssh(address, python),
        "adb": lambda: _adb(address, binary),
    }
    return opened[scheme]()


def _local() -> Connection:
    from .local import Local

    return Local()


def _adb(serial: str, binary: str | None) -> Connection:
    from .adb import Adb

    return Adb(serial, binary)


def _ssh(address: str, python: str) -> Connection:
    from .ssh import connect

    return connect(address, python)
