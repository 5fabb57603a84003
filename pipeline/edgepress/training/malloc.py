"""Keep memory that a batch frees, for the next one; and give it back."""

from __future__ import annotations

import ctypes
from functools import cache

LARGEST = 32 * 2**20
"""Bytes of a block that is kept; glibc takes no higher limit."""
_TRIM, _MMAP = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h."""


def give_back() -> None:
    """Give the memory that was kept back to the system: before a fork, after which what is written is there twice."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


@cache
def keep() -> bool:
    """Have glibc keep memory that this process frees; return whether it does. Other C libraries are left alone.

    By default it gives large blocks back to the system at once, so that every activation of every batch is made of
    fresh pages, which the kernel fills with zeros: two fifths of the time of a small ResNet's training.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return bool(library.mallopt(_MMAP, LARGEST) and library.mallopt(_TRIM, 2**31 - 1))
