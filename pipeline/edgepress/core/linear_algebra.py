"""Let the libraries of linear algebra take their memory first, in a process whose memory is limited.

OpenBLAS takes buffers when it is loaded and at the first product of matrices. Where it gets none it tries again for
ever, or ends the process with code 1, by its release (https://github.com/OpenMathLib/OpenBLAS/pull/5303). Once it has
them it asks for no more.
"""

from __future__ import annotations

import resource

from .activity import activity, limited_memory, limited_seconds, lower

SECONDS = 10.0
"""CPU seconds of loading; it takes less than one, and some on a board."""
_SIDE = 200
"""Smaller products need no buffer."""


def take_memory() -> None:
    """Load OpenBLAS, numpy's and scipy's, within bounds on time; do nothing where memory is not limited."""
    if limited_memory() is None:
        return
    before = resource.getrlimit(resource.RLIMIT_CPU)
    lower(resource.RLIMIT_CPU, int(limited_seconds() + SECONDS) + 1)
    try:
        with activity(doing="loading", library="OpenBLAS", short="memory"):
            _multiply()
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, before)


def _multiply() -> None:
    import numpy as np
    from scipy.linalg import blas

    square = np.ones((_SIDE, _SIDE))
    square @ square
    blas.dgemm(1.0, square, square)
