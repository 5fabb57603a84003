"""Mutated and hostile ONNX files, through a recipe that loads, quantizes and converts them, `why` and `bench`."""

from __future__ import annotations

from pathlib import Path

import onnx

from tests.torture import places
from tests.torture.bench import Bench
from tests.torture.campaigns import hostile, networks
from tests.torture.mutate import data, proto
from tests.torture.runner import Fresh


def prepare(seeds: Path, runner: Fresh) -> None:
    places.lay_out(seeds / "empty" / "work")
    places.finished(seeds, runner, "lite")


def trial(bench: Bench) -> None:
    random = bench.random
    bench.copy("empty")
    file = bench.work / "m.onnx"
    if bench.number % 3 == 0:
        names = list(hostile.TABLE)
        bench.note = names[bench.number // 3 % len(names)]
        content = hostile.TABLE[bench.note](random)
        if bench.number // 3 >= 3 * len(names):
            content = proto.changed(content, onnx.ModelProto, random)
    else:
        name = random.choice([*networks.TABLE, "quantized"])
        change = random.choice(("bytes", "structure", "structure"))
        bench.note = f"{name}, {change}"
        if name == "quantized":
            (source,) = (bench.seeds / "lite" / "work" / "runs" / "lite" / "models").glob("int8.x86*.onnx")
            content = source.read_bytes()
        else:
            content = networks.TABLE[name]().SerializeToString()
        content = (
            data.changed(content, random) if change == "bytes" else proto.changed(content, onnx.ModelProto, random)
        )
    file.write_bytes(content)
    match random.choice(("run", "run", "run", "why", "bench")):
        case "run":
            bench.run("run", "lite.yaml")
        case "why":
            bench.run("why", "m.onnx")
        case _:
            bench.run("bench", "m.onnx")
