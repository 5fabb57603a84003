"""What is known of inputs that ran: one line each, so that an interrupted campaign goes on; failing ones are kept."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.torture.bench import Bench
from tests.torture.runner import ROOT

SAME, MOST = 3, 60
"""Failing inputs that are kept: of one kind and detail, and of a campaign."""
LARGEST = 2 << 20


def sources() -> str:
    """Return a digest of the product and of the campaigns: results of other ones do not count."""
    files = sorted(file for folder in ("pipeline/edgepress", "tests/torture") for file in (ROOT / folder).rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def row(bench: Bench) -> dict[str, Any]:
    """Return what is kept of one input."""
    return {
        "number": bench.number,
        "took": round(bench.took, 2),
        "note": bench.note,
        "codes": [ended.code for ended in bench.endings],
        "seconds": round(max((ended.wall / ended.load for ended in bench.endings), default=0), 2),
        "cpu": round(sum(ended.cpu for ended in bench.endings), 2),
        "memory": max((ended.memory for ended in bench.endings), default=0),
        "heeded": max((ended.heeded / ended.load for ended in bench.endings if ended.heeded is not None), default=None),
        "facts": dict(bench.facts),
        "faults": [[fault.kind, fault.detail] for fault in bench.faults],
    }


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a campaign, of an input the latest; the last line may be half a line."""
    rows = {}
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        rows[row["number"]] = row
    return list(rows.values())


def append(path: Path, row: dict[str, Any]) -> None:
    """Append a row, by one write: several processes append."""
    line = b"\n" + json.dumps(row).encode() + b"\n"  # after half a line, too
    with path.open("ab", buffering=0) as file:
        file.write(line)


def keep(bench: Bench, campaign: str, folder: Path, seen: Counter[str]) -> None:
    """Keep a failing input, with what was printed and the line that makes it again."""
    signature = "; ".join(sorted({f"{fault.kind}: {fault.detail[:60]}" for fault in bench.faults}))
    seen[signature] += 1
    if seen[signature] > SAME or seen.total() > MOST * 10:
        return
    place = folder / campaign / str(bench.number)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for source in _small(bench.folder):
        copy = place / source.relative_to(bench.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, copy)
    command = f"python -m tests.torture {campaign} --only {bench.number}"
    (place / "REPRODUCE").write_text(f"{command}\n{bench.note}\n{signature}\n")


def _small(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and ".edgepress" not in path.parts and path.stat().st_size < LARGEST:
            yield path


def summary(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the counts of a campaign, as the result file has them."""
    rows = list(rows)
    codes = Counter(str(code) for row in rows for code in row["codes"])
    faults = Counter(kind for row in rows for kind in {kind for kind, _ in row["faults"]})
    facts: Counter[str] = sum((Counter(row["facts"]) for row in rows), Counter())
    return {
        "inputs": len(rows),
        "commands": codes.total(),
        "codes": dict(sorted(codes.items())),
        "minutes": round(sum(row["took"] for row in rows) / 60, 1),
        "slowest": max((row["seconds"] for row in rows), default=0),
        "memory": max((row["memory"] for row in rows), default=0),
        "cpu": round(sum(row["cpu"] for row in rows)),
        "heeded": max((row["heeded"] for row in rows if row["heeded"] is not None), default=None),
        "facts": dict(sorted(facts.items())),
        "faults": dict(sorted(faults.items())),
        "failing": sum(bool(row["faults"]) for row in rows),
    }


def groups(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield a line for each kind of fault: how often, of which inputs, and its words."""
    numbers: dict[str, list[int]] = {}
    for row in rows:
        for kind, detail in row["faults"]:
            numbers.setdefault(f"{kind}: {re.sub(r'[0-9.]+', '#', detail)[:150]}", []).append(row["number"])
    for words, found in sorted(numbers.items(), key=lambda item: -len(item[1])):
        yield f"{len(found):5} × {words}  [--only {' '.join(map(str, found[:4]))}]"
