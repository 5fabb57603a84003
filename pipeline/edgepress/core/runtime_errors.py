"""Put the errors of runtimes in words: the node and the reason, without its source files and classes."""

from __future__ import annotations

import re
from pathlib import Path

from .activity import LIMITS
from .errors import UserError, first_line
from .units import show_bytes

_NODE = re.compile(r"running (\w+) node\. Name:'([^']*)' Status Message: (.*)")
_NOISE = re.compile(
    r"^[\w.]+(?:Error|Fail|Invalid\w+|Exception|NotImplemented)\b: ?"  # the class
    r"|\[ONNXRuntimeError\] : \d+ : \w+ : "
    r"|(?:/onnxruntime_src/\S+/|\b)\w+\.(?:cc|h):\d+ "
    r"|(?:[\w:*]+ )*\bonnxruntime::[^()]+\([^()]*\)(?: const)? ?"  # the function
    r"|Exception during initialization: "
)
_ALLOCATION = re.compile(r"Failed to allocate memory for requested buffer of size (\d+)")
_MEMORY = f"is it fed with what it is for? `{LIMITS}=10` in the environment allows a model ten times as much memory"


def reason(error: BaseException | str) -> str:
    """Return why a runtime does not run a graph, in one line."""
    text = str(error) if isinstance(error, BaseException) else error
    node = _NODE.search(text)
    words = _NOISE.sub("", node[3] if node else text).strip()
    if size := _ALLOCATION.search(text):
        words = f"it needs {show_bytes(int(size[1]))} at once"
    elif "bad_alloc" in text or "bad allocation" in text:
        words = "it needs more memory than it may take"
    line = first_line(ValueError(words)) if words else type(error).__name__
    if node is None:
        return line
    return f"node `{node[2]}` ({node[1]}): {line}" if node[2] else f"a node {node[1]}: {line}"


def cannot_run(file: Path, error: BaseException | str, help: str, runtime: str = "onnxruntime") -> UserError:
    """Return the error for a file that a runtime does not run; `help` is the next act unless it lacks memory."""
    text = str(error)
    of_memory = _ALLOCATION.search(text) or "bad_alloc" in text or isinstance(error, MemoryError)
    return UserError(f"{runtime} cannot run `{file}`: {reason(error)}", _MEMORY if of_memory else help)
