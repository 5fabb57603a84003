"""A phone: a real adbd, in a network namespace of its own, since it listens everywhere and asks for no key.

`python -m tests.benchmark.devices.phone` fetches Debian's adbd, which older releases lack, and its needs, into FOLDER.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(os.environ.get("EDGEPRESS_TEST_ADBD", ".edgepress/adbd")).resolve()
SUITE, PORT, SERIAL = "trixie", 5555, "127.0.0.1:5555"


def missing() -> str:
    """Why there can be no phone here; empty where it can."""
    if not (FOLDER / "usr/lib/android-sdk/platform-tools/adbd").is_file():
        return "there is no adbd: `python -m tests.benchmark.devices.phone` fetches it"
    if lacking := [name for name in ("adb", "ip") if not shutil.which(name)]:
        return f"there is no {' and no '.join(lacking)}: apt-get install adb iproute2"
    return "" if os.geteuid() == 0 else "only root makes a network namespace"


def fetch() -> None:
    from edgepress.benchmark.emulator import install

    with tempfile.TemporaryDirectory() as work:
        here = subprocess.run(
            ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
        ).stdout.strip()
        install.unpack(("adbd",), SUITE, here, Path(work, "unpacked"), Path(work, "apt"))
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(Path(work, "unpacked"), FOLDER)


@dataclass
class Phone:
    """`folder` is the phone's `/data/local/tmp`; `command` is adb for this phone alone."""

    space: str
    folder: Path
    server: subprocess.Popen[bytes] | None = None

    @property
    def command(self) -> str:
        return f"ip netns exec {self.space} adb -P 5099"

    def start(self) -> None:
        subprocess.run(["ip", "netns", "add", self.space], check=True)
        inside = ["ip", "netns", "exec", self.space]
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        library = FOLDER / "usr/lib/x86_64-linux-gnu"
        paths = f"{library}:{library}/android:{library}/systemd"
        adbd = [library / "ld-linux-x86-64.so.2", "--library-path", paths]
        adbd.append(FOLDER / "usr/lib/android-sdk/platform-tools/adbd")
        self.server = subprocess.Popen([*inside, *adbd], stderr=subprocess.DEVNULL, start_new_session=True)
        for _ in range(100):
            words = [*self.command.split(), "connect", SERIAL]
            if (
                "connected"
                in subprocess.run(words, capture_output=True, text=True, check=False).stdout.partition(" to ")[0]
            ):
                return
            time.sleep(0.1)
        raise AssertionError("adbd does not answer")

    def unplug(self) -> None:
        """Kill adbd; what it started is left to itself."""
        assert self.server
        os.kill(self.server.pid, signal.SIGKILL)
        self.server.wait()

    def stop(self) -> None:
        subprocess.run([*self.command.split(), "kill-server"], capture_output=True, check=False)
        if self.server and self.server.poll() is None:
            self.unplug()
        subprocess.run(["ip", "netns", "delete", self.space], check=True)

    def files(self) -> list[str]:
        return [path.name for path in self.folder.iterdir()]

    def processes(self) -> list[str]:
        """What runs in the phone beside adbd and adb's own server."""
        pids = subprocess.run(["ip", "netns", "pids", self.space], capture_output=True, text=True, check=True).stdout
        found = []
        for pid in pids.split():
            try:
                command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ").strip()
            except OSError:
                continue
            if command and "adbd" not in command and "fork-server" not in command:
                found.append(command)
        return found

    def left(self, patience: float = 8.0) -> list[str]:
        until = time.monotonic() + patience
        while (found := [*self.files(), *self.processes()]) and time.monotonic() < until:
            time.sleep(0.1)
        return found


if __name__ == "__main__":
    fetch()
    sys.exit(missing() or 0)
