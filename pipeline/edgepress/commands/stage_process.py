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


class PipeProgress:
    """Progress that another process shows: one line of JSON for each message."""

    def __init__(self, pipe: int) -> None:
        self.pipe, self.last = pipe, 0.0
        os.set_inheritable(pipe, False)  # it ends with this process, whatever that has started

    def write(self, **message: Any) -> None:
        os.write(self.pipe, json.dumps(message).encode() + b"\n")

    def begin(self, label: str, use: str, position: int, count: int) -> None: ...

    def advance(self, done: int, total: int, words: str, label: str = "") -> None:
        if time.monotonic() - self.last >= EVERY:
            self.last = time.monotonic()
            used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            self.write(done=done, total=total, words=words, bytes=used)

    def end(self, facts: StageFacts) -> None:
        self.write(seconds=facts.seconds)


@click.command()
@click.argument("job")
def main(job: str) -> int:
    """Make the result of the stage that JOB, as JSON, names."""
    from ..config.recipe import load
    from ..engine.cache import Cache
    from ..engine.engine import Engine

    linear_algebra.take_memory()
    stage = json.loads(job)
    engine = Engine(load(Path(stage["recipe"]), stage["changes"]), Cache(Path(stage["cache"])), stage["limit"])
    engine.make(stage["label"], stage["key"], PipeProgress(stage["pipe"]))
    return 0


def _main() -> int:
    streams.silence_closed()
    return exit_codes.run(main)


if __name__ == "__main__":
    streams.open_all()
    os._exit(supervise.supervised(_main))
