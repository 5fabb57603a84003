"""Map every ending of a command to its exit code."""

from __future__ import annotations

import io
import os
import sys

import click

from .. import __version__
from ..benchmark.devices.transport import DeviceError
from ..core import streams, system_errors, temporary
from ..core.child_processes import SaidError
from ..core.errors import UserError
from ..core.printable import lines, say, word
from . import completion
from .supervise import CRASHED, INTERRUPTED, INTERRUPTED_WORDS, WRONG, interrupt_once, interruptions_kept

EXIT_CODES = """\b
Exit codes:
  0  every required budget is met
  1  a required budget is exceeded (outranks 4)
  2  the recipe, a target, a file or the command line is wrong
  3  crash; the output names a log file
  4  not decided: a measurement is missing or too uncertain, or a device is offline
  130  interrupted
  141  the reader of the output closed the pipe (SIGPIPE)"""

_RAISE = "let it raise an error instead: the traceback tells its place"
UNDECIDED = 4
CLOSED_PIPE = 128 + 13
"""Exit code of a command that SIGPIPE ended."""


def run(command: click.Command) -> int:
    """Run the command line and return its exit code. Errors go to standard error, tracebacks to a log file."""
    interrupt_once()
    try:
        code = _run(command)
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            code = code if code == WRONG else _failed(error)
            streams.discard(sys.stdout)
    except BrokenPipeError:
        streams.discard(sys.stdout, sys.stderr)
        code = CLOSED_PIPE
    return code


def _run(command: click.Command) -> int:
    output = sys.stdout
    try:
        with temporary.root(), interruptions_kept():
            return int(command.main(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show(words := io.StringIO())  # click quotes the command line, an argument may hold anything
        say(words.getvalue(), error=True, end="")
        return WRONG
    except SaidError as error:
        return error.code
    except DeviceError as error:
        say(str(error), error=True)
        return UNDECIDED
    except (KeyboardInterrupt, click.Abort) as error:
        # click takes a file that ends too early for the end of a terminal's input.
        if isinstance(error.__cause__, EOFError):
            return _failed(error.__cause__)
        say(INTERRUPTED_WORDS, error=True)
        return INTERRUPTED
    except SystemExit as ended:
        if completion.VARIABLE in os.environ:
            return int(ended.code or 0)
        # When a pipe is closed click wraps standard output and ends with 1, the code of an exceeded budget.
        if sys.stdout is not output:
            raise BrokenPipeError from None
        # Its code would be a verdict that nothing has judged.
        return _failed(UserError(f"code of yours or of a library called `sys.exit({ended.code!r})`", _RAISE))
    except Exception as error:
        if any(isinstance(link, BrokenPipeError) for link in system_errors.chain(error)):
            raise BrokenPipeError from error
        return _failed(error)


def _failed(error: Exception) -> int:
    """Say what is wrong with the user's files or the system, and otherwise what crashed; return the exit code."""
    from ..core import installation  # its imports take milliseconds that `--help` has no use for

    wrong = system_errors.of(error) or (error if isinstance(error, UserError) else installation.blamed(error))
    say(str(wrong) if wrong else _crash(error), error=True)
    return WRONG if wrong else CRASHED


def _crash(error: Exception) -> str:
    """Write the traceback to a log file; the message names it."""
    import platform  # these take milliseconds that `--help` has no use for
    import tempfile
    import traceback

    log = f"edgepress {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
    log += f"{word(' '.join(sys.argv))}\n\n" + lines("".join(traceback.format_exception(error)))
    try:
        handle, place = tempfile.mkstemp(prefix="edgepress-", suffix=".log")
        with open(handle, "w", encoding="utf-8") as file:
            file.write(log)
    except OSError:  # a full disk must not hide the crash
        place = f"this:\n\n{log.rstrip()}"
    first = word((str(error).splitlines() or [""])[0])
    return (
        f"edgepress crashed: {type(error).__name__}: {first}\n"
        f"  = help: this is a bug in edgepress; please report it with {place}"
    )
