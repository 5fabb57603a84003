"""Mutated recipes and targets, through `validate`, some through `plan`, a few through `run`."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import yaml

from tests.torture import places
from tests.torture.bench import Bench
from tests.torture.ended import VERDICTS
from tests.torture.mutate import data, tree
from tests.torture.runner import ROOT, Fresh
from tests.torture.watch import Stop

PLAN, RUN = 10, 100
"""Of so many inputs one is planned, or run."""
SECONDS = 6.0
"""A changed recipe may train for a year, rightly: its run is interrupted."""
RUNNABLE = {f"{name}.yaml": text for name, text in places.RECIPES.items()}
TARGETS = {"dev.yaml": places.TIMED, "phone.yaml": places.PHONE}


def texts() -> dict[str, str]:
    """Return what is mutated: small recipes and targets, and the shipped ones."""
    shipped = [file for kind in ("recipes", "targets") for file in sorted((ROOT / kind).glob("*.yaml"))]
    return RUNNABLE | TARGETS | {file.name: file.read_text() for file in shipped if "lock" not in file.suffixes[0]}


def prepare(seeds: Path, runner: Fresh) -> None:
    places.lay_out(seeds / "empty" / "work")


def trial(bench: Bench) -> None:
    known, random = texts(), bench.random
    planned, run = bench.number % PLAN == 0, bench.number % RUN == 0
    name = random.choice([*RUNNABLE, *TARGETS] if planned else list(known))
    bench.work.mkdir()
    for file in ("x.npz", "m.onnx"):
        (bench.work / file).symlink_to(bench.seeds / "empty" / "work" / file)
    os.mkfifo(bench.work / "fifo")
    for file, text in (RUNNABLE | TARGETS).items():
        (bench.work / file).write_text(text)
    (bench.work / name).write_bytes(mutated(known[name], bench))
    recipe = name if name in RUNNABLE else random.choice(list(RUNNABLE))
    if run:
        stop = Stop(signal.SIGINT, SECONDS, group=True)
        bench.run("run", recipe, stop=stop, judged={"codes": (*VERDICTS, 130), "timed": False})
    elif planned:
        bench.run("plan", recipe)
    else:
        bench.run("validate", name, *([recipe] if name in TARGETS else []), judged={"codes": (0, 2)})


def mutated(text: str, bench: Bench) -> bytes:
    kind = bench.random.choice(("bytes", "words", "words", "structure", "structure"))
    bench.note = kind
    if kind == "bytes":
        return data.changed(text.encode(), bench.random)
    if kind == "words":
        return data.reworded(text, bench.random).encode(errors="surrogatepass")
    value = tree.changed(yaml.safe_load(text), bench.random)
    return tree.as_yaml(value, bench.random).encode(errors="surrogatepass")
