"""Say what ended a process that native code or the kernel has ended, and which node of its file does it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping

from . import child_processes
from .activity import LESS_MEMORY, LIMITS, limited_memory
from .errors import UserError
from .system_errors import MORE_MEMORY, SystemFault
from .units import show_bytes

_SEARCH, _SEARCH_SECONDS = f"{__package__.partition('.')[0]}.models.onnx.crashing_node", 8.0
_CAUSES: dict[int, str] = {
    signal.SIGFPE: "integer division by zero, or of the least integer by -1 ",
    signal.SIGSEGV: "segmentation fault ",
    signal.SIGBUS: "bus error, as of a file that is cut off while it is read ",
    signal.SIGILL: "an instruction that this processor lacks ",
    signal.SIGABRT: "abort ",
}
_OF_MEMORY = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGTRAP)
"""How libraries end that are refused memory."""
_EXPORT = (
    "export the model without the operator that does it; one that ends its runtime alone too is a bug of the runtime"
)


def error(number: int, note: Mapping[str, str]) -> UserError:
    """Return the error for the end by signal `number` of a process whose last note of `activity` is `note`."""
    file = f"`{note['file']}`" if "file" in note else ""
    where = f"stage `{note['stage']}`: " if "stage" in note else ""
    doing = f" while {note['doing']} {file}" if file and "doing" in note else ""
    name = signal.Signals(number).name
    if number == signal.SIGKILL:
        return SystemFault(
            f"{where}the process was killed{doing}, as the kernel does when memory runs out", LESS_MEMORY
        )
    if number == signal.SIGXCPU and note.get("short") == "memory":
        return _without_memory(note)
    if number == signal.SIGXCPU and "seconds" in note:
        message = f"{where}{note.get('doing', 'running')} {file} takes more than {note['seconds']} s of CPU time"
        return UserError(message, f"does it ever end? `{LIMITS}=10` in the environment allows ten times as long")
    if number == signal.SIGXCPU:
        return SystemFault(f"{where}the limit of CPU time was reached{doing}", "raise it: `ulimit -t`")
    message = f"{note.get('library', 'native code')} ended the process{doing}: {_CAUSES.get(number, '')}({name})"
    if number in _OF_MEMORY and (limit := limited_memory()):  # few libraries survive one
        limited = f"{where}memory ran out, which this shell limits to {show_bytes(limit)}: {message}"
        return SystemFault(limited, LESS_MEMORY)
    message = where + message
    if node := crashing_node(note.get("file", "")):
        return UserError(message, f"node {node} does it: export the model without it")
    return UserError(message, _EXPORT if file else "please report it with the recipe")


def exited(code: int, note: Mapping[str, str]) -> UserError:
    """Return the error for the end of a process with a code that is not its own: a library has called `exit`."""
    if note.get("short") == "memory":
        return _without_memory(note)
    where = f"stage `{note['stage']}`: " if "stage" in note else ""
    doing = f" while {note['doing']} `{note['file']}`" if "file" in note and "doing" in note else ""
    message = f"{where}{note.get('library', 'native code')} ended the process{doing}, with code {code}"
    if limit := limited_memory():
        return SystemFault(
            f"{message}; this shell limits memory to {show_bytes(limit)}", "raise it (`ulimit -v`, `ulimit -d`)"
        )
    return UserError(message, _EXPORT if doing else "please report it with the recipe")


def _without_memory(note: Mapping[str, str]) -> SystemFault:
    return SystemFault(f"memory ran out while {note['doing']} {note['library']}", MORE_MEMORY)


def crashing_node(file: str) -> str:
    """Return the name and operator of the first node at which onnxruntime crashes, as text; empty where unknown."""
    if not file.endswith(".onnx"):
        return ""
    command = child_processes.module(_SEARCH, [file])
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SEARCH_SECONDS)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
