"""Map every ending of a command to its exit code."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TextIO

import click

from .. import __version__
from ..benchmark.devices.transport import DeviceError
from ..core import temporary
from ..core.errors import UserError
from ..core.printable import lines, say, word
from .supervise import INTERRUPTED, INTERRUPTED_WORDS, WRONG, interrupt_once, interruptions_kept

EXIT_CODES = """\b
Exit codes:
  0  every required budget is met
  1  a required budget is exceeded (outranks 4)
  2  the recipe, a target, a file or the command line is wrong
  3  crash; the output names a log file
  4  not decided: a measurement is missing or too uncertain, or a device is offline
  130  interrupted
  141  the reader of the output closed the pipe (SIGPIPE)"""

UNDECIDED = 4
CLOSED_PIPE = 128 + 13
"""Exit code of a command that SIGPIPE ended."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of writing that are the disk's."""


def run(command: click.Command) -> int:
    """Run the command line and return its exit code. Errors go to standard error, tracebacks to a log file."""
    interrupt_once()
    try:
        code = _run(command)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard(sys.stdout, sys.stderr)
        code = CLOSED_PIPE
    except OSError as error:
        if error.errno not in _FULL:
            raise
        where = f"`{error.filename}`" if error.filename else "a file or the output"
        message = f"{where} cannot be written: {error.strerror}"
        say(str(UserError(message, "free some space; the same command continues from here")), error=True)
        _discard(sys.stdout)
        code = WRONG
    return code


def _discard(*streams: TextIO) -> None:
    """Let the streams end nowhere: Python flushes them once more when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream.fileno())


def _run(command: click.Command) -> int:
    output = sys.stdout
    try:
        with temporary.root(), interruptions_kept():
            return int(command.main(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show(words := io.StringIO())  # click quotes the command line, an argument may hold anything
        say(words.getvalue(), error=True, end="")
        return 2
    except UserError as error:
        say(str(error), error=True)
        return 2
    except DeviceError as error:
        say(str(error), error=True)
        return 4
    except (KeyboardInterrupt, click.Abort) as error:
        # click takes a file that ends too early for the end of a terminal's input.
        if isinstance(error.__cause__, EOFError):
            say(_crash(error.__cause__), error=True)
            return 3
        say(INTERRUPTED_WORDS, error=True)
        return INTERRUPTED
    except SystemExit:
        # When a pipe is closed click wraps standard output and ends with 1, the code of an exceeded budget.
        if sys.stdout is not output:
            raise BrokenPipeError from None
        raise
    except Exception as error:
        if _caused_by_a_closed_pipe(error):
            raise BrokenPipeError from error
        if isinstance(error, OSError) and error.errno in _FULL:
            raise
        from ..core import installation  # its imports take milliseconds that `--help` has no use for

        if wrong := installation.blamed(error):
            say(str(wrong), error=True)
            return WRONG
        say(_crash(error), error=True)
        return 3


def _caused_by_a_closed_pipe(error: BaseException | None) -> bool:
    """Whether the cause is a `BrokenPipeError`, also one that a library has wrapped."""
    while error is not None and not isinstance(error, BrokenPipeError):
        error = error.__cause__ or error.__context__
    return error is not None


def _crash(error: Exception) -> str:
    """Write the traceback to a log file; the message names it."""
    import platform  # these take milliseconds that `--help` has no use for
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="edgepress-", suffix=".log", delete=False, encoding="utf-8") as log:
        log.write(f"edgepress {__version__}, Python {platform.python_version()}, {platform.platform()}\n")
        log.write(f"{word(' '.join(sys.argv))}\n\n")
        log.write(lines("".join(traceback.format_exception(error))))
    first = word((str(error).splitlines() or [""])[0])
    return (
        f"edgepress crashed: {type(error).__name__}: {first}\n"
        f"  = help: this is a bug in edgepress; please report it with {log.name}"
    )
