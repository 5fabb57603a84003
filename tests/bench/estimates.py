"""How far off are estimates of a device? Every published latency is estimated from the others of its kind.

The rows are those of the shipped targets, of networks that timm or torchvision can build as they were published. They
are timed on this machine, and the product's own estimate, made without the row, is compared with it. A proxy's error is
against the proxy: nothing public says how far its runtime is from the target's. `make bench-estimates` writes
estimates.json; it takes a quarter of an hour. `python -m tests.bench.estimates board.yaml` adds a calibrated target.
"""

from __future__ import annotations

import math
import sys
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from edgepress.benchmark import paired
from edgepress.config import target
from edgepress.core.paths import folder_of
from edgepress.core.results import ModelFile, Runtime, Samples
from edgepress.core.runtimes import RUNTIMES
from edgepress.engine import references
from edgepress.gate import estimate, published

from tests.bench import results

FOLDER = Path(".edgepress/estimates")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    paths = [*sorted(folder_of("targets").glob("*.yaml")), *map(Path, sys.argv[1:])]
    profiles = [target.load(path) for path in paths]
    groups = [
        (profile, list(group))
        for profile in profiles
        for _, group in groupby(sorted(profile.references, key=_kind), key=_kind)
    ]
    times = _timed({(row.model, row.precision, profile.runtime) for profile, rows in groups for row in rows})
    table = [_left_out(profile, rows, times) for profile, rows in groups if len(rows) > 1]
    for row in table:
        print(row, flush=True)
    boards = [profile for profile in profiles if profile.references]
    silicon = sum(profile.calibrated is not None for profile in boards)
    found = {"groups": table, "profiles": len(boards), "checked_on_silicon": silicon}
    print(results.write("estimates", "make bench-estimates", found))


def _kind(row: target.Reference) -> tuple[str, str, int]:
    return row.runtime, row.precision, row.threads


def _left_out(profile: target.Target, rows: list[target.Reference], times: dict[Any, Samples]) -> dict[str, Any]:
    """Each row estimated from the others: errors, and how often the interval has the published figure in it."""
    first, errors, inside, how = rows[0], [], 0, set()
    for row in rows:
        rest = [each for each in rows if each != row]
        blind = profile.model_copy(update={"references": rest, "threads": row.threads, "extrapolate": 1.0})
        samples = [times[each.model, each.precision, profile.runtime] for each in rows]
        found = estimate.latency(blind, _file(row), samples)
        assert isinstance(found, estimate.Estimate), found
        errors.append(abs(found.seconds / (row.ms / 1e3) - 1))
        inside += found.interval[0] <= row.ms / 1e3 <= found.interval[1]
        how.add(found.basis.split(",")[0])
    return {
        "target": profile.name,
        "runtime": first.runtime,
        "precision": first.precision,
        "threads": first.threads,
        "references": len(rows),
        "median_error": median(errors),
        "p90_error": sorted(errors)[math.ceil(0.9 * len(errors)) - 1],
        "inside": inside / len(rows),
        "interval": sorted(how),
        "proxy": first.runtime not in RUNTIMES[profile.runtime].published,
    }


def _file(row: target.Reference) -> ModelFile:
    precision = {"fp32": "float32", "int8": "xnnpack"}[row.precision]
    name = published.label(row.model, row.precision)
    return ModelFile(path=name, kind="onnx", precision=precision, bytes=1, sha256="", scores={})


def _timed(wanted: set[tuple[str, str, Runtime]]) -> dict[tuple[str, str, Runtime], Samples]:
    """Every network as a file of the runtime, built once, and timed beside the others with one thread."""
    found = {}
    for runtime, group in groupby(sorted(wanted, key=lambda each: (each[2], *each[:2])), key=lambda each: each[2]):
        models = []
        for name, precision, _ in group:
            model = published.ReferenceModel(name, precision, runtime)  # type: ignore[arg-type]
            if not (FOLDER / model.file).is_file():
                print(f"building {model.label} for {runtime}", flush=True)
                references.build(model, FOLDER / "new").replace(FOLDER / model.file)
            models.append(((name, precision, runtime), paired.Model(model.label, FOLDER / model.file, runtime)))
        samples = paired.measure([model for _, model in models], looks=(4,), rounds=30)
        found |= dict(zip([key for key, _ in models], samples, strict=True))
    return found


if __name__ == "__main__":
    main()
