"""Freed memory is used again, which shows in the pages that a process asks the kernel for."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest
from edgepress.training import malloc

COUNT, AT_ONCE, BYTES = 10, 4, 8 * 2**20
SCRIPT = f"""
import resource, sys
import torch
from edgepress.training import malloc

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range({COUNT}):
        [torch.ones({BYTES} // 4) for _ in range({AT_ONCE})]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
malloc.keep()
faults()
print(before, faults())
"""


def test_what_is_freed_is_kept_for_what_comes_next() -> None:
    if not malloc.keep():
        pytest.skip("another C library than glibc")
    said = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout
    before, after = map(int, said.split())
    block = BYTES // resource.getpagesize()
    # Without it each batch asks for four blocks anew, of which the kernel may give several pages at once.
    assert before > COUNT * block // 2, "or else this test shows nothing"
    assert after < block // 2
