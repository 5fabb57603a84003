"""Reach an Android device, or anything that runs adbd: `adb://SERIAL`.

The connection is the user's own adb.

A shell there keeps the connection's folder: when its input ends, however that comes about, it kills what was started
and removes what was pushed.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shlex
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ...core.units import show_bytes
from . import android
from .transport import PYTHON, DeviceError, Done

COMMAND = "EDGEPRESS_ADB"
"""In the environment: the command in place of `adb`."""
PLACE = "/data/local/tmp"
ANSWER, SLOWEST, LEAVE = 30.0, 1_000_000, 10.0
"""Seconds for what no program delays; bytes a second that are pushed at least; seconds to clean up."""
KEEP = """mkdir -p {folder} && echo ready || exit 1
trap '' HUP INT TERM
cat > /dev/null
for pid in $(cat {folder}/pids 2>/dev/null); do
  test "$(readlink /proc/$pid/cwd)" = {folder} && kill -9 $pid
done
rm -rf {folder}"""
INFO = """echo architecture=$(uname -m); echo system=$(uname -s) $(uname -r)
echo cores=$(grep -c ^processor /proc/cpuinfo)
echo board=$(getprop ro.product.manufacturer 2>/dev/null) $(getprop ro.product.model 2>/dev/null)
echo free=$(df -k {place} | tail -n 1)
cd /sys/devices/system/cpu
for file in cpu[0-9]*/cpufreq/scaling_governor; do echo governors=$(cat $file 2>/dev/null); done
for file in cpu[0-9]*/cpufreq/scaling_cur_freq; do echo kilohertz=$(cat $file 2>/dev/null); done
for file in /sys/class/thermal/thermal_zone[0-9]*/temp; do echo millidegrees=$(cat $file 2>/dev/null); done
echo status=$(dumpsys thermalservice 2>/dev/null | grep -m 1 'Thermal Status')
grep -m 1 -E 'model name|Hardware' /proc/cpuinfo"""


class Adb:
    """A `Transport`; a worker's job is done by the program that the target's `binary` names, for there is no Python."""

    def __init__(self, serial: str, binary: str | None) -> None:
        program, *more = shlex.split(os.environ.get(COMMAND, "adb"))
        if not shutil.which(program):
            raise DeviceError(f"there is no `{program}` on this machine", "install Android's platform tools")
        self.name, self._binary = f"adb://{serial}", binary
        self._adb = [program, *more, "-s", serial]
        self._folder = f"{PLACE}/edgepress-{secrets.token_hex(6)}"
        self._pushed: dict[str, str] = {}

    def __enter__(self) -> Self:
        if (state := self._call(["get-state"], "connecting").out.strip()) != "device":
            raise DeviceError(f"{self.name} is {state}", "unlock it, and allow debugging from this machine")
        self._keeper = subprocess.Popen(
            [*self._adb, "shell", KEEP.format(folder=self._folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._keeper.stdout
        if self._keeper.stdout.readline().strip() != b"ready":
            self._leave()
            raise DeviceError(f"{self.name}: nothing can be written to {PLACE}", "is it full, or read-only?")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._leave()

    def push(self, file: Path) -> str:
        content = file.read_bytes()
        key = hashlib.sha256(content).hexdigest()
        if key not in self._pushed:
            path = f"{self._folder}/{key[:16]}{file.suffix}"
            done = self._call(["push", str(file), path], file.name, timeout=ANSWER + len(content) / SLOWEST)
            if "No space left" in done.out + done.err:
                message = f"{self.name}: its disk is full: `{file.name}` takes {show_bytes(len(content))}"
                raise DeviceError(message, f"free some space in its {PLACE}")
            self._check(done, file.name)
            self._pushed[key] = path
        return self._pushed[key]

    def pull(self, path: str) -> bytes:
        command = [*self._adb, "exec-out", f"cat {shlex.quote(path)} && printf x"]
        done = subprocess.run(command, capture_output=True, check=False, timeout=ANSWER)
        if done.returncode or not done.stdout.endswith(b"x"):
            self._alive(path)
            raise DeviceError(f"{self.name} has no `{path}`")
        return done.stdout[:-1]

    def run(self, program: list[str], input: str = "", timeout: float = 300) -> Done:
        if program[0] == PYTHON:
            return android.work(input, self.run, self._binary, self.name)
        words = " ".join(map(shlex.quote, program))
        # The shell's own number, which `exec` hands on: what the keeper is to kill.
        environment = f"TMPDIR={self._folder} ORT_DISABLE_TELEMETRY=1"
        script = f"cd {self._folder} && echo $$ >> pids && {environment} exec {words}"
        done = self._call(["shell", script], program[0], input=input, timeout=timeout)
        self._alive(program[0])
        if done.code == 127 or "inaccessible or not found" in done.err:
            raise DeviceError(f"{self.name} has no `{program[0]}`", "`adb push` it there, and `chmod +x` it")
        return done

    def info(self) -> dict[str, Any]:
        lines = self._call(["shell", INFO.format(place=PLACE)], "asking what it is").out.splitlines()
        properties: dict[str, list[str]] = {}
        for line in lines:
            name, _, value = line.partition("=")
            properties.setdefault(name, []).append(value.strip())
        names = ("architecture", "system", "board", "cores", "status", "free")
        facts = {name: (properties.get(name) or [""])[0] for name in names}
        blocks = re.findall(r"\d+", facts["free"].partition("/")[2] or facts["free"])
        return {
            **facts,
            "board": facts["board"] or None,
            "cores": int(facts["cores"] or 0),
            "cpuinfo": "\n".join(line for line in lines if line.startswith(("model name", "Hardware"))),
            "free": 1024 * int(blocks[2] if len(blocks) > 2 else 0),
            "governors": [value for value in properties.get("governors", []) if value],
            "kilohertz": [value for value in properties.get("kilohertz", []) if value],
            "millidegrees": [value for value in properties.get("millidegrees", []) if value],
            "throttled": facts["status"] or None,
            "power": None,
            "python": None,
            "executable": self._binary,
            "versions": {},
        }

    def _call(self, words: list[str], task: str, *, input: str = "", timeout: float = ANSWER) -> Done:
        try:
            done = subprocess.run(
                [*self._adb, *words], input=input, capture_output=True, text=True, check=False, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            raise DeviceError(f"{self.name} did not answer for {timeout:.0f} s: {task}", android.CABLE) from None
        errors = done.stderr.strip()
        if re.match(r"(error|adb): (device|no devices|.*(not found|offline|unauthorized|closed))", errors):
            help = "allow debugging on its screen" if "unauthorized" in errors else android.CABLE
            raise DeviceError(f"{self.name}: {errors.splitlines()[0]}", help)
        return Done(done.returncode, done.stdout, done.stderr)

    def _check(self, done: Done, task: str) -> None:
        if done.code:
            self._alive(task)
            last = ((done.err or done.out).strip().splitlines() or [f"exit code {done.code}"])[-1]
            raise DeviceError(f"{self.name}: {task}: {last}", android.CABLE)

    def _alive(self, task: str) -> None:
        """Check the connection. Raises: DeviceError when it has ended, with its last task."""
        with suppress(subprocess.TimeoutExpired):
            self._keeper.wait(0.2)
            raise DeviceError(f"{self.name}: the connection ended while {task}", android.CABLE)

    def _leave(self) -> None:
        with suppress(OSError):
            assert self._keeper.stdin
            self._keeper.stdin.close()
        try:
            self._keeper.wait(LEAVE)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
        assert self._keeper.stdout
        self._keeper.stdout.close()
