"""One input of a campaign: its folder, its chances, what was run and what went wrong."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.torture.ended import Ended, Fault, faults
from tests.torture.runner import Fresh


@dataclass
class Bench:
    """What a trial works with. `seeds` is the campaign's folder of files that all inputs start from."""

    number: int
    random: Random
    folder: Path
    seeds: Path
    runner: Fresh
    endings: list[Ended] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    facts: Counter[str] = field(default_factory=Counter)
    took: float = 0.0
    """Seconds."""
    note: str = ""
    """How the input differs from a sound one."""

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def copy(self, seed: str) -> None:
        """Begin with a copy of `seeds/SEED/work`, but for its cache, as the working folder."""
        shutil.copytree(
            self.seeds / seed / "work", self.work, symlinks=True, ignore=shutil.ignore_patterns(".edgepress")
        )

    def run(self, *arguments: str, judged: dict[str, Any] | None = None, **options: Any) -> Ended:
        """Run `edgepress ARGUMENTS` and judge how it ends; `judged` are options of `faults`."""
        ended = self.runner.run(arguments, self.folder, **options)
        self.judge(ended, **(judged or {}))
        return ended

    def judge(self, ended: Ended, **options: Any) -> None:
        self.endings.append(ended)
        self.faults += faults(ended, **options)

    def blame(self, found: Sequence[Fault]) -> None:
        self.faults += found


@dataclass(frozen=True)
class Campaign:
    """`trial` takes one input to its end. `forks`: commands run in forks of a zygote."""

    name: str
    title: str
    count: int
    prepare: Callable[[Path, Fresh], None]
    trial: Callable[[Bench], None]
    forks: bool = False


def bench(campaign: Campaign, number: int, folder: Path, seeds: Path, runner: Fresh) -> Bench:
    """Return the bench of an input, with an empty folder and chances of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "work").parent.mkdir(parents=True)
    return Bench(number, Random(f"{campaign.name} {number}"), folder, seeds, runner)
