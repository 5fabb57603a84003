"""Mutated TFLite files, by bytes and by structure, through `why` and `bench`."""

from __future__ import annotations

from pathlib import Path

from edgepress.models.tflite import convert

from tests.torture import places
from tests.torture.bench import Bench
from tests.torture.campaigns import networks
from tests.torture.mutate import data, flatbuffer
from tests.torture.runner import Fresh

NETWORKS = ("mlp", "convolutions", "attention")
BENCHED = 4
"""Of so many inputs one is measured, the others are profiled."""


def prepare(seeds: Path, runner: Fresh) -> None:
    places.finished(seeds, runner, "lite")
    (seeds / "tflite").mkdir(exist_ok=True)
    for name in NETWORKS:
        (seeds / "tflite" / f"{name}.tflite").write_bytes(convert.write(networks.TABLE[name](), {}))


def trial(bench: Bench) -> None:
    random = bench.random
    quantized = (bench.seeds / "lite" / "work" / "runs" / "lite" / "models").glob("*.tflite")
    source = random.choice([*sorted((bench.seeds / "tflite").iterdir()), *quantized])
    change = random.choice((data.changed, flatbuffer.changed, flatbuffer.changed))
    bench.note = f"{source.stem}, {change.__module__.rpartition('.')[2]}"
    bench.work.mkdir()
    (bench.work / "m.tflite").write_bytes(change(source.read_bytes(), random))
    bench.run("why" if bench.number % BENCHED else "bench", "m.tflite")
