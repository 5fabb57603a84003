"""Serve one connection on a board: take files, run programs.

The file itself is sent over the connection, and nothing of it stays. Python 3.8 or newer and its standard library;
nothing is installed. Messages go both ways on standard input and output: a line of JSON, whose `bytes` says how many
raw bytes follow it. However the connection ends, a closed pipe or a minute of silence, what is running is killed and
the folder of pushed files removed.
"""

from __future__ import annotations

import glob
import json
import os
import platform
import queue
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from typing import Any

SILENCE = 60.0
"""Seconds without a word, not even `ping`, after which the other side is gone."""
PREFIX, PID = "edgepress-", ".edgepress-agent.pid"
CHUNK = 1 << 20


class Closed(Exception):
    """The other side has gone, or was silent for too long."""


class Stream:
    """Messages over two file descriptors."""

    def __init__(self, source: int, sink: int) -> None:
        self.source, self.sink, self.buffer, self.lock = source, sink, b"", threading.Lock()

    def send(self, message: dict[str, Any], content: bytes = b"") -> None:
        data = json.dumps(dict(message, bytes=len(content))).encode() + b"\n" + content
        with self.lock:
            while data:
                data = data[os.write(self.sink, data) :]

    def receive(self, timeout: float) -> tuple[dict[str, Any], bytes]:
        """The next message and its bytes. Raises: Closed after `timeout` seconds in which nothing came."""
        while b"\n" not in self.buffer:
            self._more(timeout)
        line, _, self.buffer = self.buffer.partition(b"\n")
        message = json.loads(line)
        parts, missing = [self.buffer], message["bytes"] - len(self.buffer)
        while missing > 0:
            self.buffer = b""
            self._more(timeout)
            parts.append(self.buffer)
            missing -= len(self.buffer)
        content = b"".join(parts)
        self.buffer = content[message["bytes"] :]
        return message, content[: message["bytes"]]

    def _more(self, timeout: float) -> None:
        if not select.select([self.source], [], [], timeout)[0]:
            raise Closed("silent")
        data = os.read(self.source, CHUNK)
        if not data:
            raise Closed("closed")
        self.buffer += data


class Agent:
    """One connection: its folder, and the program that is running."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.over = stream, threading.Lock()
        self.running: subprocess.Popen[bytes] | None = None
        sweep()
        self.folder = tempfile.mkdtemp(prefix=PREFIX)
        with open(os.path.join(self.folder, PID), "w") as file:
            file.write(str(os.getpid()))

    def end(self) -> None:
        """Kill what is running, remove what was pushed, and go; never undone by a program that starts meanwhile."""
        self.over.acquire()
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        os._exit(0)

    def stop(self) -> None:
        if self.running is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.running.pid, signal.SIGKILL)

    def push(self, message: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
        path = os.path.join(self.folder, os.path.basename(message["name"]))
        with open(path, "wb") as file:
            file.write(content)
        return {"path": path}, b""

    def pull(self, message: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
        with open(message["path"], "rb") as file:
            return {}, file.read()

    def run(self, message: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
        with self.over:
            running = self.running = subprocess.Popen(
                message["program"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self.folder,
                env=dict(os.environ, TMPDIR=self.folder, ORT_DISABLE_TELEMETRY="1"),
                start_new_session=True,
            )
        try:
            out, err = running.communicate(content, timeout=message["timeout"])
        except subprocess.TimeoutExpired:
            self.stop()
            running.communicate()
            return {"late": True}, b""
        done = {"code": running.returncode, "out": len(out)}
        self.running = None
        return done, out + err

    def info(self, message: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
        return {"info": info(self.folder, message["packages"])}, b""

    def handle(self, message: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
        try:
            reply: tuple[dict[str, Any], bytes] = getattr(self, message["do"])(message, content)
            return reply
        except OSError as error:
            return {"error": error.strerror or str(error), "errno": error.errno, "file": error.filename}, b""
        except Exception as error:  # with no reply the other side would wait for its timeout
            return {"error": f"{type(error).__name__}: {error}", "errno": None, "file": None}, b""


def sweep() -> None:
    """Remove the folders of agents that were themselves killed: those of this user that hold an agent's own file."""
    for path in glob.glob(os.path.join(tempfile.gettempdir(), PREFIX + "*", PID)):
        try:
            if os.lstat(os.path.dirname(path)).st_uid != os.getuid():
                continue
            with open(path) as file:
                os.kill(int(file.read()), 0)
        except ProcessLookupError:
            shutil.rmtree(os.path.dirname(path), ignore_errors=True)
        except (OSError, ValueError):
            pass


def info(folder: str, packages: Sequence[str]) -> dict[str, Any]:
    """Return facts of the board now, with the versions of `packages`; what is not readable is None."""
    facts: dict[str, Any] = {"architecture": platform.machine(), "system": f"{platform.system()} {platform.release()}"}
    facts["python"], facts["executable"] = platform.python_version(), sys.executable
    facts["board"] = (read("/proc/device-tree/model") or "").strip("\0\n") or None
    facts["cpuinfo"] = read("/proc/cpuinfo") or ""
    facts["cores"] = os.cpu_count()
    facts["free"] = shutil.disk_usage(folder).free
    facts["governors"] = read_all("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")
    facts["kilohertz"] = read_all("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq")
    facts["highest_kilohertz"] = read_all("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/cpuinfo_max_freq")
    facts["millidegrees"] = read_all("/sys/class/thermal/thermal_zone[0-9]*/temp")
    facts["throttled"] = output_of(["vcgencmd", "get_throttled"])
    facts["power"] = output_of(["nvpmodel", "-q"])
    facts["versions"] = versions(packages)
    return facts


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    installed = {}
    for name in packages:
        with suppress(metadata.PackageNotFoundError):
            installed[name] = metadata.version(name)
    return installed


def read(path: str) -> str | None:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


def read_all(pattern: str) -> list[str]:
    return [text.strip() for text in map(read, sorted(glob.glob(pattern))) if text]


def output_of(command: list[str]) -> str | None:
    if not shutil.which(command[0]):
        return None
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=10, check=False)
    return done.stdout.decode(errors="replace").strip()


def main() -> None:
    sink = os.dup(1)
    os.dup2(2, 1)
    agent = Agent(Stream(0, sink))
    requests: queue.Queue[tuple[dict[str, Any], bytes]] = queue.Queue()

    def work() -> None:
        while True:
            try:
                agent.stream.send(*agent.handle(*requests.get()))
            except OSError:  # nobody listens any more; the main thread sees that too, and ends
                return

    threading.Thread(target=work, daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: agent.end())
    try:
        agent.stream.send({"hello": True})
        while True:
            message, content = agent.stream.receive(SILENCE)
            if message["do"] != "ping":
                requests.put((message, content))
    except (Closed, OSError):
        pass
    except (ValueError, KeyError) as error:  # not a message of edgepress
        sys.stderr.write(f"the agent was sent something else than a message: {error!r}\n")
    agent.end()


if __name__ == "__main__":
    main()
