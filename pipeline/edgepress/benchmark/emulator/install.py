"""Install the emulator of boards.

Debian's arm64 Python 3.11, PyPI's aarch64 wheels of the runtimes that are installed here, and qemu.

Nothing is installed on this machine, and no root is needed: packages are fetched by apt and pip, whose mirrors and keys
count, and unpacked into one folder, which is there whole or not at all.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from ...core import child_processes, file_lock
from ...core.errors import UserError
from ...core.runtimes import RUNTIMES
from .qemu import CPUS, FOLDER, PACKAGES, QEMU, QEMU_X86, STAMP, X86, folder, run

ROOT, EMULATOR = ("bookworm", "arm64"), "trixie"
"""bookworm has the Python that tflite-runtime is built for, trixie a qemu (10) in which onnxruntime can be imported."""
DEBIAN = ("python3.11-minimal", "libpython3.11-stdlib", "libstdc++6", "libgcc-s1", "libc6")
PYTHON_PACKAGES = ("numpy", *(row.package for row in RUNTIMES.values()))
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
PYTHON, GLIBC = "3.11", range(17, 37)
"""Wheels up to bookworm's glibc, 2.36."""
OTHER = "nothing was changed; the runtimes' versions here may be too new for it: `pip install` others, and try again"
Say = Callable[[str], None]


def install(say: Say = lambda words: None) -> Path:
    """Install the emulator. Returns its folder. Raises: UserError, with what to do."""
    _possible()
    place = folder()
    if place.exists() and not (place / STAMP).is_file() and (not place.is_dir() or any(place.iterdir())):
        raise UserError(f"`{place}` is there, and is no emulator", f"name a folder for it: {FOLDER}=/path/to/arm64")
    place.parent.mkdir(parents=True, exist_ok=True)
    # One at a time: a second installation waits, and then replaces the first.
    with (
        file_lock.hold(place.with_name(f".{place.name}.lock"), "the emulator as well", say),
        tempfile.TemporaryDirectory(prefix=".arm64-", dir=place.parent) as work,
    ):
        emulator = Path(work, "arm64")
        _debian(emulator, Path(work, "apt"), say)
        versions = _wheels(emulator / PACKAGES, Path(work, "wheels"), say)
        versions["qemu"] = _output([emulator / QEMU, "--version"], "qemu").split()[2]
        say("trying it")
        _try(emulator, Path(work))
        (emulator / STAMP).write_text(json.dumps(versions), encoding="utf-8")
        if place.exists():
            shutil.rmtree(place)
        emulator.rename(place)
    return place


def _try(emulator: Path, work: Path) -> None:
    """Load the runtime on every processor. Raises: UserError; an installed emulator then stays as it is."""
    script = work / "try.py"
    script.write_text("import numpy, onnxruntime, platform\nprint(platform.machine())\n")
    for cpu in CPUS:
        if cpu in X86 and platform.machine() != "x86_64":
            continue
        try:
            run(cpu, script, root=emulator)
        except RuntimeError as error:
            raise UserError(f"the new emulator does not load onnxruntime as {cpu}: {error}", OTHER) from error


def _possible() -> None:
    if platform.system() != "Linux" or not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise UserError(
            "the emulator is made of Debian's packages, and there is no apt-get here",
            f"make it on Debian or Ubuntu, copy its folder, and name it: {FOLDER}=/path/to/arm64",
        )
    if not KEYS.is_file():
        raise UserError(f"there is no {KEYS}", "apt-get install debian-archive-keyring")


def _mirror() -> str:
    """Return the mirror of Debian that this machine's apt uses."""
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        if match := re.search(r"^(?:deb .*?|URIs: *)(https?://\S+/debian)/?\s", text, re.MULTILINE):
            return match[1]
    return "http://deb.debian.org/debian"


def _debian(emulator: Path, work: Path, say: Say) -> None:
    """Unpack `DEBIAN` and what they depend on into `root`, and the programs of qemu beside it."""
    say("Debian's arm64 packages")
    here = _output(["dpkg", "--print-architecture"], "dpkg").strip()
    unpack(DEBIAN, *ROOT, emulator / "root", work / "root")
    unpack(("qemu-user",), EMULATOR, here, work / "unpacked", work / "qemu")
    for program in (QEMU, QEMU_X86):
        shutil.move(work / "unpacked/usr/bin" / program, emulator / program)


def unpack(packages: Iterable[str], suite: str, architecture: str, into: Path, work: Path) -> None:
    """Fetch packages of a Debian suite, and what they depend on, and unpack them; nothing is installed.

    `work` holds apt's state of the suite, apart from its state of this machine. Raises: UserError.
    """
    for subfolder in ("state/lists/partial", "cache/archives/partial", "preferences"):
        (work / subfolder).mkdir(parents=True)
    (work / "status").touch()
    (work / "sources.list").write_text(f"deb [signed-by={KEYS} arch={architecture}] {_mirror()} {suite} main\n")
    options = {
        "Dir::State": work / "state",
        "Dir::State::status": work / "status",
        "Dir::Cache": work / "cache",
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": work / "preferences",
        "APT::Architecture": architecture,
        "APT::Architectures::": architecture,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "Debug::NoLocking": "true",
    }
    command = ["apt-get", "-qq", "-y", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    help = "is there a network, and does `apt-get update` work here?"
    _output([*command, "--error-on=any", "update"], "apt-get update", help)
    wanted = list(packages)
    _output([*command, "install", "--download-only", *wanted], f"apt-get install {' '.join(wanted)}", help)
    into.mkdir(parents=True)
    for package in sorted((work / "cache/archives").glob("*.deb")):
        _output(["dpkg-deb", "-x", package, into], f"dpkg-deb -x {package.name}")


def _wheels(packages: Path, work: Path, say: Say) -> dict[str, str]:
    """Unpack the aarch64 wheels of the runtimes' versions here. Returns these versions."""
    versions = {name: importlib.metadata.version(name) for name in PYTHON_PACKAGES if _installed(name)}
    say(f"aarch64 wheels: {', '.join(f'{name} {version}' for name, version in versions.items())}")
    tags = ["manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in GLIBC)]
    command = [*child_processes.PYTHON, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", work]
    command += ["--python-version", PYTHON, *(word for tag in tags for word in ("--platform", tag))]
    for name, version in versions.items():
        _output(
            [*command, f"{name}=={version}"],
            f"pip download {name}=={version}",
            f"is there a network, and a wheel of {name} {version} for aarch64 and Python {PYTHON}?",
        )
    for wheel in work.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(packages)
    return versions


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _output(command: Iterable[object], name: str, help: str = "") -> str:
    """Return the output of a program. Raises: UserError with its last line when it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        last = [line for line in (done.stderr or done.stdout).strip().splitlines() if line.strip()][-1:]
        raise UserError(f"`{name}` failed: {last[0] if last else f'exit code {done.returncode}'}", help)
    return done.stdout
