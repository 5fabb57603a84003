"""Talk to `agent` on a board over the process that carries it.

The connection lasts as long as that process, such as `ssh`, lives.
"""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ...core.runtimes import packages
from ...core.units import show_bytes
from . import agent
from .agent import Closed, Stream
from .transport import PYTHON, DeviceError, Done

START = (
    "import sys; sys.path = [each for each in sys.path if each]; "
    # It runs `agent.py`, whose bytes this process sends over the user's own ssh or adb; nothing is left on the board.
    "exec(sys.stdin.buffer.read(int(sys.stdin.buffer.readline())))"
)
"""The command line of the far Python: run the agent, which comes over the connection. It is never to
import what lies in the folder where the far shell begins, and Python 3.8 has no `-P`."""
HELLO, ANSWER, PING, LEAVE = 20.0, 30.0, 10.0, 10.0
"""Seconds: for the first word, for any other that no program delays, between two signs of life, and to clean up."""
SLOWEST = 100_000
"""Bytes a second that a connection manages at least."""


class Remote:
    """A `Transport`. `command` carries standard input and output to the agent, and `why` finds the reason in its
    errors when it ended; both texts name the device as `name`.
    """

    def __init__(self, command: list[str], name: str, why: Callable[[str], DeviceError | None]) -> None:
        self.name, self._why, self._pushed = name, why, dict[str, str]()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  closed with the connection
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, start_new_session=True
        )
        assert self._process.stdin
        assert self._process.stdout
        self._stream = Stream(self._process.stdout.fileno(), self._process.stdin.fileno())
        self._over = threading.Event()

    def __enter__(self) -> Self:
        try:
            self._begin()
            self._receive(HELLO, "connecting")
            self._info = self.info()
        except BaseException:
            self._close()
            raise
        threading.Thread(target=self._alive, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    def _begin(self) -> None:
        source = Path(agent.__file__).read_bytes()
        with suppress(OSError):  # a process that has ended gives its reason on being read
            os.write(self._stream.sink, b"%d\n" % len(source) + source)

    def push(self, file: Path) -> str:
        content = file.read_bytes()
        key = hashlib.sha256(content).hexdigest()
        if key not in self._pushed:
            name = f"{key[:16]}{file.suffix}"
            reply, _ = self._request({"do": "push", "name": name}, content, ANSWER + len(content) / SLOWEST, file.name)
            self._pushed[key] = reply["path"]
        return self._pushed[key]

    def pull(self, path: str) -> bytes:
        return self._request({"do": "pull", "path": path}, timeout=ANSWER, task=path)[1]

    def run(self, program: list[str], input: str = "", timeout: float = 300) -> Done:
        words = [self._info["executable"] if word == PYTHON else word for word in program]
        message = {"do": "run", "program": words, "timeout": timeout}
        reply, output = self._request(message, input.encode(), timeout + ANSWER, words[0])
        if reply.get("late"):
            raise DeviceError(f"{self.name}: `{Path(words[0]).name}` took more than {timeout:.0f} s", "is it idle?")
        return Done(reply["code"], *(part.decode(errors="replace") for part in _cut(output, reply["out"])))

    def info(self) -> dict[str, Any]:
        message = {"do": "info", "packages": packages()}
        facts: dict[str, Any] = self._request(message, timeout=ANSWER, task="asking what it is")[0]["info"]
        return facts

    def _request(
        self, message: dict[str, Any], content: bytes = b"", timeout: float = ANSWER, task: str = ""
    ) -> tuple[dict[str, Any], bytes]:
        try:
            self._stream.send(message, content)
        except OSError:
            raise self._gone(task) from None
        reply, payload = self._receive(timeout, task)
        if "error" in reply:
            raise self._failed(reply, task, len(content))
        return reply, payload

    def _receive(self, timeout: float, task: str) -> tuple[dict[str, Any], bytes]:
        try:
            message: tuple[dict[str, Any], bytes] = self._stream.receive(timeout)
        except Closed as error:
            if str(error) != "closed":
                raise DeviceError(f"{self.name} did not answer for {timeout:.0f} s: {task}", _CABLE) from None
            raise self._gone(task) from None
        except ValueError:
            raise DeviceError(
                f"{self.name}: its shell prints text before it runs a command",
                "commands without a terminal must print nothing: look at its .bashrc",
            ) from None
        return message

    def _gone(self, task: str) -> DeviceError:
        """Return why the connection ended, by the errors of the process that carried it."""
        self._process.wait(5)
        self._stderr.seek(0)
        errors = self._stderr.read().decode(errors="replace").strip()
        last = errors.splitlines()[-1] if errors else f"exit code {self._process.returncode}"
        return self._why(errors) or DeviceError(f"{self.name}: the connection ended while {task}: {last}", _CABLE)

    def _failed(self, reply: dict[str, Any], task: str, size: int) -> DeviceError:
        if reply["errno"] == errno.ENOSPC:
            return DeviceError(
                f"{self.name}: its disk is full: `{task}` takes {show_bytes(size)}", "free some space in its /tmp"
            )
        if reply["errno"] == errno.ENOENT:
            return DeviceError(f"{self.name} has no `{reply['file']}`")
        return DeviceError(f"{self.name}: {task}: {reply['error']}")

    def _alive(self) -> None:
        while not self._over.wait(PING):
            try:
                self._stream.send({"do": "ping"})
            except OSError:
                return

    def _close(self) -> None:
        """Let the agent clean up, which it does when its input ends; then end the connection."""
        self._over.set()
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.close()
            self._process.wait(LEAVE)
        except (subprocess.TimeoutExpired, OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process.stdout.close()
        self._stderr.close()


_CABLE = "is it on, and its network or cable steady? the same command measures again"


def _cut(data: bytes, at: int) -> tuple[bytes, bytes]:
    return data[:at], data[at:]
