"""A board: a real sshd on loopback, whose sessions keep their files in a folder of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
MARK = "EDGEPRESS_TEST_BOARD"


@dataclass
class Board:
    """`folder` is the device's `/tmp`; processes of its sessions have `MARK` in their environment."""

    folder: Path
    config: Path
    port: int
    mark: str
    server: subprocess.Popen[bytes] | None = None

    @property
    def reach(self) -> str:
        return f"ssh://127.0.0.1:{self.port}"

    def start(self) -> None:
        assert SSHD
        self.server = subprocess.Popen([SSHD, "-D", "-e", "-f", self.config], stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("sshd does not listen")

    def unplug(self) -> None:
        """Kill the server and the sessions' servers at once; what they started is left to itself."""
        assert self.server
        servers = [self.server.pid]
        for parent in servers:
            servers += [child for child in children(parent) if name_of(child).startswith("sshd")]
        for pid in servers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.server.wait()

    def processes(self) -> list[str]:
        """What runs on the board."""
        return [command for pid, command in _all() if f"{MARK}={self.mark}".encode() in environment(pid)]

    def files(self) -> list[str]:
        return [path.name for path in self.folder.iterdir()]

    def left(self, patience: float = 5.0) -> list[str]:
        """What is there of files and processes, after a moment for them to go."""
        until = time.monotonic() + patience
        while (found := [*self.files(), *self.processes()]) and time.monotonic() < until:
            time.sleep(0.05)
        return found


def children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def environment(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _all() -> Iterator[tuple[str, str]]:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            yield pid, Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ").strip()
        except OSError:
            continue


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


def board_in(home: Path) -> Board:
    """A board that is not started; `home` has its keys and settings, and `home / "config"` is for the ssh client."""
    folder = home / "tmp"
    folder.mkdir(parents=True)
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / key], check=True)
    port, mark = free_port(), str(home)
    public = (home / "host.pub").read_text().split()[:2]
    (home / "known_hosts").write_text(f"[127.0.0.1]:{port} {' '.join(public)}\n")
    (home / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {home}/host\nAuthorizedKeysFile {home}/user.pub\n"
        f"PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        f"SetEnv TMPDIR={folder} {MARK}={mark}\n"
    )
    (home / "config").write_text(
        f"Host *\n IdentityFile {home}/user\n IdentitiesOnly yes\n UserKnownHostsFile {home}/known_hosts\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    return Board(folder, home / "sshd_config", port, mark)
