"""Treat this machine as a device: nothing to push, the running Python."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ...core import child_processes
from ...core.runtimes import packages
from . import agent
from .transport import PYTHON, DeviceError, Done


class Local:
    """A `Transport`; files are used where they are."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def push(self, file: Path) -> str:
        return str(file)

    def pull(self, path: str) -> bytes:
        return Path(path).read_bytes()

    def run(self, program: list[str], input: str = "", timeout: float = 300) -> Done:
        first, *rest = program
        command = child_processes.script(*rest) if first == PYTHON else child_processes.bound(program)
        try:
            done = subprocess.run(command, input=input, capture_output=True, text=True, check=False, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise DeviceError(f"`{Path(first).name}` took more than {timeout:.0f} s", "is this machine busy?") from None
        return Done(done.returncode, done.stdout, done.stderr)

    def info(self) -> dict[str, Any]:
        return agent.info(tempfile.gettempdir(), packages())
