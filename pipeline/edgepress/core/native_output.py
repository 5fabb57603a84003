"""Keep what native libraries print out of the output: they quote foreign words, and what is wrong is raised as well."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def silenced() -> Iterator[None]:
    """Let the descriptors of standard output and error lead nowhere while the block runs, in all threads."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(ValueError, OSError, AttributeError):
            stream.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    usual: dict[int, int] = {}
    try:
        for descriptor in (1, 2):
            with suppress(OSError):  # it is closed
                usual[descriptor] = os.dup(descriptor)
                os.dup2(nowhere, descriptor)
        yield
    finally:
        for descriptor, before in usual.items():
            os.dup2(before, descriptor)
            os.close(before)
        os.close(nowhere)
