"""OpenBLAS without memory tries for ever, or ends the process with code 1: both become words."""

import resource
import subprocess
import sys

import pytest
from edgepress.core import child_processes

CODE = """
import sys, time
from edgepress.commands.supervise import supervised
from edgepress.core import linear_algebra
linear_algebra.SECONDS = 0
linear_algebra._multiply = lambda: {body}
def work():
    linear_algebra.take_memory()
    return 0
sys.exit(supervised(work))
"""


def ended(body: str, *, limited: bool = True) -> tuple[int, str]:
    def limit() -> None:
        if limited:
            resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))

    path = [part for part in sys.path if part]
    done = subprocess.run(
        [*child_processes.PYTHON, "-c", f"import sys; sys.path[:] = {path!r}\n{CODE.format(body=body)}"],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("body", ["any(iter(int, 1))", "__import__('os')._exit(1)"])
def test_a_library_that_gets_no_memory_is_said_as_that(body):
    code, words = ended(body)
    assert code == 2
    assert words.startswith("error: memory ran out while loading OpenBLAS\n  = help: ")


def test_what_can_be_loaded_is_loaded_and_the_bound_ends_with_it():
    assert ended("None") == (0, "")


def test_without_a_limit_nothing_is_loaded():
    assert ended("__import__('os')._exit(1)", limited=False) == (0, "")
