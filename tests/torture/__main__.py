"""`python -m tests.torture [CAMPAIGN…]`: run campaigns, and write tests/bench/torture.json.

An interrupted command goes on where it stopped, unless the sources have changed since.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click

os.environ.setdefault("OMP_NUM_THREADS", "1")

from edgepress.core.machine import machine

from tests.bench import results
from tests.torture import store
from tests.torture.bench import Campaign, bench
from tests.torture.ended import TIMED
from tests.torture.runner import Fresh, Zygote, adopt_orphans, idle
from tests.torture.table import CAMPAIGNS, LIBRARIES

FOLDER = Path("build/torture")


@click.command()
@click.argument("names", nargs=-1, metavar="[CAMPAIGN[=COUNT]]...")
@click.option("--count", type=int, help="Inputs of each campaign.  [default: the campaign's own]")
@click.option("--from", "first", type=int, default=0, show_default=True, help="Number of the first input.")
@click.option("--jobs", type=int, default=2, show_default=True, help="Inputs at a time.")
@click.option("--only", type=int, help="Run this one input, and print what its commands print.")
@click.option("--folder", type=click.Path(path_type=Path), default=FOLDER, show_default=True, help="Working folder.")
@click.option("--untimed", is_flag=True, help="Judge neither time nor memory: a busy machine is no failure.")
@click.option("--write", is_flag=True, help="Write tests/bench/torture.json; campaigns that did not run stay.")
def main(names: tuple[str, ...], count: int | None, first: int, jobs: int, only: int | None, **options: Any) -> None:
    """Run CAMPAIGNs, by default all; exit with 1 if an input fails."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and so do children
    folder = options["folder"].resolve()
    _start_anew_if_changed(folder)
    failing = 0
    for name, _, own in (word.partition("=") for word in names or CAMPAIGNS):
        campaign = CAMPAIGNS[name]
        runner = Zygote(LIBRARIES) if campaign.forks else Fresh(idle=idle(LIBRARIES))
        campaign.prepare(folder / "seeds", runner)
        if only is not None:
            sys.exit(_show(campaign, only, folder, runner))
        numbers = range(first, first + (int(own) if own else campaign.count if count is None else count))
        _work(campaign, numbers, jobs, folder, runner, options["untimed"])
        _again_alone(campaign, numbers, folder, runner)
        rows = [row for row in store.read(folder / f"{name}.jsonl") if row["number"] in numbers]
        found = store.summary(rows)
        failing += found["failing"]
        click.echo(f"{name}: {found}")
        for line in store.groups(rows):
            click.echo(f"  {line}")
    if options["write"]:
        rows = {name: store.read(folder / f"{name}.jsonl") for name in CAMPAIGNS}
        today = {"date": date.today().isoformat(), "machine": machine().cpu}
        known = {name: store.summary(each) | today for name, each in rows.items() if each}
        also = ("pydantic", "pyyaml", "protobuf", "flatbuffers")
        earlier = results.read("torture")["campaigns"] if (results.FOLDER / "torture.json").is_file() else {}
        click.echo(results.write("torture", "make torture", {"jobs": jobs, "campaigns": earlier | known}, also))
    sys.exit(int(failing > 0))


def _start_anew_if_changed(folder: Path) -> None:
    (folder / "seeds").mkdir(parents=True, exist_ok=True)
    stamp, sources = folder / "sources", store.sources()
    if not stamp.is_file() or stamp.read_text() != sources:
        for path in (*folder.glob("*.jsonl"), folder / "seeds", folder / "failed"):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        (folder / "seeds").mkdir()
        stamp.write_text(sources)


def _work(
    campaign: Campaign,
    numbers: Sequence[int],
    jobs: int,
    folder: Path,
    runner: Fresh,
    untimed: bool,
    again: bool = False,
) -> None:
    """Run the inputs that have no row yet, or all of them `again`, in `jobs` processes."""
    have = set() if again else {row["number"] for row in store.read(folder / f"{campaign.name}.jsonl")}
    missing = [number for number in numbers if number not in have]
    if not missing:
        return
    workers = []
    for job in range(jobs):
        if pid := os.fork():
            workers.append(pid)
            continue
        try:
            adopt_orphans()
            _each(campaign, missing[job::jobs], folder, runner, folder / "trials" / f"{campaign.name}-{job}", untimed)
        except KeyboardInterrupt:
            os._exit(130)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers]
    if any(codes):
        sys.exit(max(codes))


def _each(campaign: Campaign, numbers: list[int], folder: Path, runner: Fresh, place: Path, untimed: bool) -> None:
    seen: Counter[str] = Counter()
    for number in numbers:
        trial = bench(campaign, number, place, folder / "seeds", runner)
        started = time.monotonic()
        campaign.trial(trial)
        trial.took = time.monotonic() - started
        if untimed:
            trial.faults = [fault for fault in trial.faults if fault.kind not in TIMED]
        if trial.faults:
            store.keep(trial, campaign.name, folder / "failed", seen)
        store.append(folder / f"{campaign.name}.jsonl", store.row(trial))
    shutil.rmtree(place, ignore_errors=True)


def _again_alone(campaign: Campaign, numbers: range, folder: Path, runner: Fresh) -> None:
    """Run anew, one at a time, what took too long beside another: two threads of one core halve each other."""
    timed = set(TIMED)
    slow = [
        row["number"]
        for row in store.read(folder / f"{campaign.name}.jsonl")
        if row["number"] in numbers and row["faults"] and {kind for kind, _ in row["faults"]} <= timed
    ]
    if slow:
        _work(campaign, slow, 1, folder, runner, untimed=False, again=True)


def _show(campaign: Campaign, number: int, folder: Path, runner: Fresh) -> int:
    adopt_orphans()
    trial = bench(campaign, number, folder / "only" / campaign.name, folder / "seeds", runner)
    campaign.trial(trial)
    for ended in trial.endings:
        click.echo(f"{ended.out}{ended.err}\nexit {ended.code}, {ended.wall:.1f} s, {ended.memory} MB\n")
    for fault in trial.faults:
        click.echo(f"{fault.kind}: {fault.detail}")
    click.echo(f"{trial.note}\nin {trial.folder}")
    return int(bool(trial.faults))


if __name__ == "__main__":
    main()
