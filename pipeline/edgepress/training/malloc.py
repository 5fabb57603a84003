"""Keep memory that a batch frees, for the next one, or give it back."""

from __future__ import annotations

import ctypes
from functools import cache

LARGEST, SMALLEST = 32 * 2**20, 2**20
"""Bytes of a block that is kept; glibc takes no higher limit. Bytes of one that is given back."""
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
    return _set(LARGEST, 2**31 - 1)


def keep_little() -> None:
    """Have glibc give large blocks back at once, as it does by default; a fork of a process that keeps them does not.

    What decodes photos makes blocks of many sizes, which fit in no gap that others left: its heap would grow by a
    batch every few minutes.
    """
    _set(SMALLEST, SMALLEST)


def _set(block: int, trim: int) -> bool:
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return bool(library.mallopt(_MMAP, block) and library.mallopt(_TRIM, trim))
