"""Coordinate processes under `accelerate launch`.

The first process decides and writes; the others only train along.

They share the cache's folder, so several hosts need one that all of them see.
"""

from __future__ import annotations

import os
from typing import Any


def several() -> bool:
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def first() -> bool:
    """Whether this is the process that writes, and the only one that speaks."""
    return int(os.environ.get("RANK", "0")) == 0


def parted() -> None:
    """From here on the first process goes alone, and so do those that it starts."""
    if several():
        from accelerate import PartialState

        PartialState().destroy_process_group()
        for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
            os.environ.pop(name, None)


def broadcast(value: Any) -> Any:
    """What the first process says; every process has to ask."""
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    PartialState()
    return broadcast_object_list([value])[0]
