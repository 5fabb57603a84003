"""Run Python and the runtimes on a board's instruction set, by qemu.

int8 outputs depend on the processor: kernels round differently. Outputs under emulation are those of the board; times
under emulation mean nothing and are never taken.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal, get_args

from ...core import child_processes, machine

Cpu = Literal["cortex-a53", "cortex-a72", "cortex-a76", "haswell"]
"""Raspberry Pi Zero 2 W and 3; 4; 5, which has the dot products that the others lack; and x86 without VNNI, whose
products of u8 and s8 saturate at 16 bits."""
X86 = {"haswell": "Haswell"}
"""What qemu calls those that run the Python of this machine, where it is x86 as well."""
CPUS: tuple[str, ...] = get_args(Cpu)
INSTALL = "`edgepress doctor --install-emulator` sets it up: 250 MB from Debian and PyPI, without root"
FOLDER = "EDGEPRESS_EMULATOR"
"""In the environment: where the emulator is, by default `~/.cache/edgepress/arm64`."""
STAMP = "installed.json"
QEMU, QEMU_X86, PYTHON, PACKAGES = "qemu-aarch64", "qemu-x86_64", "root/usr/bin/python3.11", "packages"


def folder() -> Path:
    """Return where the emulator is, or would be."""
    return Path(os.environ.get(FOLDER) or Path.home() / ".cache" / "edgepress" / "arm64")


def versions() -> dict[str, str] | None:
    """Return the versions of qemu and of its runtimes; None without one that has this environment's runtimes.

    Outputs are to differ by the processor alone.
    """
    try:
        installed = dict(json.loads((folder() / STAMP).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    here = machine.versions(name for name in installed if name not in ("qemu", "numpy"))
    return installed if all(installed[name] == version for name, version in here.items()) else None


def start(cpu: str, script: Path, *arguments: str, root: Path | None = None) -> subprocess.Popen[str]:
    """Start a Python script as it would run on `cpu`; output comes through pipes. `root` is the emulator's folder."""
    root = root or folder()
    environment = {"PATH": "/usr/bin", "PYTHONDONTWRITEBYTECODE": "1", "ORT_DISABLE_TELEMETRY": "1"}
    if cpu in X86:
        command = [str(root / QEMU_X86), "-cpu", X86[cpu], sys.executable]
    else:
        command = [str(root / QEMU), "-L", str(root / "root"), "-cpu", cpu, str(root / PYTHON)]
        environment["PYTHONPATH"] = str(root / PACKAGES)
    command = child_processes.bound([*command, "-P", str(script), *arguments])
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(cpu: str, script: Path, *arguments: str, root: Path | None = None) -> str:
    """Run a script. Returns its standard output. Raises: RuntimeError with the cause in one line."""
    return ended(start(cpu, script, *arguments, root=root))


def ended(process: subprocess.Popen[Any]) -> str:
    """Wait for a process. Returns its standard output. Raises: RuntimeError."""
    out, err = process.communicate()
    if process.returncode:
        raise RuntimeError(child_processes.cause(str(err), process.returncode))
    return str(out)
