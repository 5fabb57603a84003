"""Coordinate processes under `accelerate launch`.

The first process decides and writes; the others only train along.

They share the cache's folder, so several hosts need one that all of them see.
"""

from __future__ import annotations

import os
from typing import Any


def count() -> int:
    """Return how many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def several() -> bool:
    return count() > 1


def first() -> bool:
    """Tell whether this is the process that writes, and the only one that prints."""
    return int(os.environ.get("RANK", "0")) == 0


def state() -> Any:
    """Return accelerate's state of this process: its device and its group, which this may be the first to join."""
    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env

    # By itself the state takes a GPU also where `accelerate launch --cpu` asks for none.
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))


def parted() -> None:
    """Leave the process group: the first process, and those that it starts, go on alone."""
    if several():
        state().destroy_process_group()
        for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
            os.environ.pop(name, None)


def broadcast(value: Any) -> Any:
    """Return the first process's `value`; every process has to call this."""
    from accelerate.utils import broadcast_object_list

    state()
    return broadcast_object_list([value])[0]
