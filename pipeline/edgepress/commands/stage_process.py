"""Make the result of one stage, in a process of its own: what `run --jobs` starts."""

from __future__ import annotations

import json
import os
import resource
import time
from pathlib import Path
from typing import Any

import click

from ..core import linear_algebra, streams
from ..core.results import StageFacts
from . import exit_codes, supervise

EVERY = 0.2
"""Seconds between two words on the progress."""


class Told:
    """Progress that another process shows: a line of JSON each time."""

    def __init__(self, pipe: int) -> None:
        self.pipe, self.last = pipe, 0.0
        os.set_inheritable(pipe, False)  # it ends with this process, whatever that has started

    def tell(self, **told: Any) -> None:
        os.write(self.pipe, json.dumps(told).encode() + b"\n")

    def begin(self, label: str, use: str, position: int, count: int) -> None: ...

    def advance(self, done: int, total: int, words: str, label: str = "") -> None:
        if time.monotonic() - self.last >= EVERY:
            self.last = time.monotonic()
            used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            self.tell(done=done, total=total, words=words, bytes=used)

    def end(self, facts: StageFacts) -> None:
        self.tell(seconds=facts.seconds)


@click.command()
@click.argument("given")
def main(given: str) -> int:
    """Make what GIVEN, as JSON, describes."""
    from ..config.recipe import load
    from ..engine.cache import Cache
    from ..engine.engine import Engine

    linear_algebra.take_memory()
    what = json.loads(given)
    engine = Engine(load(Path(what["recipe"]), what["changes"]), Cache(Path(what["cache"])), what["limit"])
    engine.make(what["label"], what["key"], Told(what["pipe"]))
    return 0


def _main() -> int:
    streams.silence_closed()
    return exit_codes.run(main)


if __name__ == "__main__":
    streams.open_all()
    os._exit(supervise.supervised(_main))
