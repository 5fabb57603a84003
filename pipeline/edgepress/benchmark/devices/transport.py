"""Define the interface of a device: this machine, `ssh://` or `adb://`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ...core import printable

REACH = r"^(local|none|ssh://([^@/\s]+@)?[^@/:\s]+(:\d+)?|adb://[^/\s]+)$"
"""The place of a device in a target."""


class DeviceError(Exception):
    """The device is not reached, or its times count for nothing: why, and what to do. Exit code 4."""

    def __init__(self, message: str, help: str = "") -> None:
        self.message, self.help = message, help
        text = f"error: {printable.message(message)}" + (f"\n  = help: {printable.message(help)}" if help else "")
        super().__init__(text)


@dataclass(frozen=True)
class Done:
    """How a program on the device ended."""

    code: int
    out: str
    err: str


class Transport(Protocol):
    """The operations of a device. Every method raises DeviceError when no reply comes in time."""

    def push(self, file: Path) -> str:
        """Copy `file` to the device. Returns its path there; the copy goes when the connection does."""

    def pull(self, path: str) -> bytes:
        """Return the content of a file on the device."""

    def run(self, program: list[str], input: str = "", timeout: float = 300) -> Done:
        """Run a program to its end; `PYTHON` as its first word is the Python with the runtime. `timeout` in seconds."""

    def info(self) -> dict[str, Any]:
        """Return the identity and state of the device, as `health` reads them."""


PYTHON = "{python}"
Connection = AbstractContextManager[Transport]
