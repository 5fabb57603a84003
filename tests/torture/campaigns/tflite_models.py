"""Mutated TFLite files, by bytes and by structure, through `why` and `bench`."""

from __future__ import annotations

from pathlib import Path

from tests.torture import places
from tests.torture.bench import Bench
from tests.torture.campaigns import networks
from tests.torture.mutate import data, flatbuffer

NETWORKS = ("mlp", "convolutions", "attention")
BENCHED = 4
"""Of so many inputs one is measured, too."""


def prepare(seeds: Path) -> None:
    for name in NETWORKS:
        places.finished(seeds / name, "lite", network=networks.TABLE[name]())


def trial(bench: Bench) -> None:
    random = bench.random
    sources = sorted((bench.seeds / random.choice(NETWORKS)).glob("lite/work/runs/lite/models/*.tflite"))
    content = random.choice(sources).read_bytes()
    change = random.choice((data.changed, flatbuffer.changed, flatbuffer.changed))
    bench.note = change.__module__.rpartition(".")[2]
    bench.work.mkdir()
    (bench.work / "m.tflite").write_bytes(change(content, random))
    if bench.number % BENCHED:
        bench.run("why", "m.tflite")
    else:
        bench.run("bench", "m.tflite")
