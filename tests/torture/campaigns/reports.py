"""Mutated `report.json` through `check`, in all formats: no budget is met by nonsense numbers."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tests.torture import places
from tests.torture.bench import Bench
from tests.torture.ended import Fault
from tests.torture.mutate import data, tree
from tests.torture.runner import ROOT, Fresh

RECIPES = ("lite", "mobilenet")
"""A small one, and that of the documentation: four targets, emulated, with reference networks."""
FORMATS = ("json", "junit", "markdown", "text", "html")
_NO_NUMBER = re.compile(r"(?<![\w-])[-−+]?(nan|inf(inity)?)\b", re.IGNORECASE)
POSITIVE = ("size", "latency", "memory", "cold")
"""Checks whose value is more than zero, by the beginning of their name."""

SHARES = ("accuracy", "macro_f1", "worst_recall")


def prepare(seeds: Path, runner: Fresh) -> None:
    places.finished(seeds, runner, "lite", timed=True)
    work = seeds / "mobilenet-timed" / "work"
    (work / "runs" / "mobilenet").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "recipes" / "mobilenet.yaml", work)
    shutil.copy(ROOT / "tests" / "bench" / "run.json", work / "runs" / "mobilenet" / "report.json")


def trial(bench: Bench) -> None:
    recipe = bench.random.choice(RECIPES)
    bench.copy(f"{recipe}-timed")
    report = bench.work / "runs" / recipe / "report.json"
    report.write_bytes(mutated(report.read_bytes(), bench))
    outputs = [word for name in FORMATS for word in ("--format", f"{name}=out.{name}")]
    ended = bench.run("check", f"{recipe}.yaml", "--format", "text", *outputs)
    if ended.code in (0, 1, 4):
        bench.blame(list(nonsense(bench.work, ended.code)))
    if bench.number % 10 == 0:
        bench.run("check", f"{recipe}.yaml", "--format", "github", judged={"commands": True})


def mutated(content: bytes, bench: Bench) -> bytes:
    kind = bench.random.choice(("bytes", "words", "numbers", "numbers", "numbers", "structure", "structure"))
    bench.note = kind
    if kind == "bytes":
        return data.changed(content, bench.random)
    if kind == "words":
        return data.reworded(content.decode(), bench.random).encode(errors="surrogatepass")
    change = tree.numbers_changed if kind == "numbers" else tree.changed
    return json.dumps(change(json.loads(content), bench.random), separators=(",", ":")).encode()


def nonsense(folder: Path, code: int) -> Iterator[Fault]:
    """Yield faults of the outputs of a `check` that gave a verdict."""
    try:
        document = json.loads((folder / "out.json").read_text())
        ElementTree.parse(folder / "out.junit")
    except (OSError, ValueError, ElementTree.ParseError) as error:
        yield Fault("format", repr(error)[:200])
        return
    if code == 0 and (word := _NO_NUMBER.search((folder / "out.text").read_text())):
        yield Fault("nonsense", f"{word[0]} in the text")
    for finding in document["findings"] if code == 0 else ():
        for number in _numbers(finding):
            if not math.isfinite(number):
                yield Fault("nonsense", f"{finding['check']}: {number}")
        value = finding.get("value")
        if value is not None and finding["check"].startswith(POSITIVE) and not value > 0:
            yield Fault("nonsense", f"{finding['check']}: {value}")
    for stage in document["stages"] if code == 0 else ():
        for file in stage["files"]:
            scores = [(name, value) for split in file["scores"].values() for name, value in split.items()]
            if not file["bytes"] > 0:
                yield Fault("nonsense", f"{stage['name']}: {file['bytes']} bytes")
            for name, value in scores:
                if not (value is not None and 0 <= value < math.inf) or (name in SHARES and value > 1):
                    yield Fault("nonsense", f"{stage['name']}: {name} {value}")


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _numbers(each)
    elif isinstance(value, float):
        yield value
