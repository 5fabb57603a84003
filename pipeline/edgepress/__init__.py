"""edgepress: compress a model for a device, and judge it by the device's budgets.

For code of a recipe, such as `./my_data.py:load`: `from edgepress import Dataset, Examples, Input`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

# From 1.29 on onnxruntime sends usage data from Linux and macOS; it reads this once, when it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from .data.dataset import Dataset, Input
    from .data.examples import Examples

__version__ = "0.1.0"
__all__ = ["Dataset", "Examples", "Input", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the data classes when they are used: the command line starts without numpy."""
    from importlib import import_module

    modules = {"Dataset": ".data.dataset", "Input": ".data.dataset", "Examples": ".data.examples"}
    if name not in modules:
        raise AttributeError(f"module `edgepress` has no attribute `{name}`")
    return getattr(import_module(modules[name], __name__), name)
