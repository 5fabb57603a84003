"""Distil, or fuse, or both? On clean images, on wrong labels, on rare classes, and on a set that is uneven by itself.

`make bench-compare` writes compare.json, with what `edgepress compare` prints. What a killed run has finished is in the
cache. The students of the shipped data are asked about all official test images too, of which a fifth are shipped: two
that differ by half a point answer one image in twelve otherwise, so that 2,000 images cannot tell them apart.
"""

from __future__ import annotations

import contextlib
import io
import sys
from datetime import date
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

from edgepress.commands.compare import text
from edgepress.commands.compare.results import Comparison
from edgepress.commands.compare.study import FILE
from edgepress.commands.main import cli
from edgepress.core.metrics import METRICS
from edgepress.core.results import ModelFile
from edgepress.data import dataset
from edgepress.data.load import load_dataset
from edgepress.engine import evaluate
from edgepress.models import metadata
from edgepress.models.predict import predict

from tests.bench import results

ROUTES = "plain,soup,distill,both,teacher,fuse"
FEW = "plain,half,longer,distill,both,teacher,fuse"
FILES = ("float", "int8")
CASES: dict[str, tuple[str, list[str], int, str]] = {
    "few": ("distill-vs-fuse", [], 5, FEW),
    "few, own teachers": ("distill-vs-fuse-equal", ["task.examples=7000", "task.labels=300"], 8, FEW),
    "equal": ("distill-vs-fuse-equal", [], 5, f"longer,{ROUTES}"),
    "noisy 20%": ("distill-vs-fuse-noisy", ["task.label_noise=20%"], 5, ROUTES),
    "noisy 40%": ("distill-vs-fuse-noisy", [], 5, ROUTES),
    "imbalanced": ("distill-vs-fuse-rare", [], 5, ROUTES),
    "sensor": ("distill-vs-fuse-sensor", [], 5, ROUTES),
    "sensor, noisy 40%": ("distill-vs-fuse-sensor", ["task.label_noise=40%"], 5, ROUTES),
    "shipped": ("mobilenet", [], 8, "plain,distill,both,teacher,fuse"),
}
"""Name → recipe, what is changed in it, how many seeds, and which routes."""
LABELS = (600, 1200, 2400, 4800, 7000)
"""Labels that `few` is repeated with, to find how many the student alone needs."""
WHOLE = "fashion-mnist"
"""The data whose test split holds that of the shipped data, and four times as many."""


def compare(case: str) -> dict[str, Any]:
    name, changes, seeds, routes = CASES[case]
    found = run(name, changes, seeds, routes)
    row = {"seeds": seeds, "date": str(date.today()), "text": text.render(found), "changes": changes, "recipe": name}
    row |= {"costs": costs(found), "levels": levels(found), **counted(found)}
    if found.data["name"] == f"{WHOLE}-10k":
        examples = load_dataset(WHOLE)
        whole = asked(found, examples)
        row["whole"] = {"images": len(examples["test"].y), "levels": levels(whole), **counted(whole)}
    if case == "few":
        row["labels"] = {"300": row["whole"]["scores"]} | {
            str(many): counted(asked(run(name, [f"task.labels={many}"], seeds, "plain,longer"), examples))["scores"]
            for many in LABELS
        }
    return row


def run(name: str, changes: list[str], seeds: int, routes: str) -> Comparison:
    """`edgepress compare`; what an earlier call has finished comes from the cache."""
    arguments = ["compare", name, "--seeds", str(seeds), "--routes", routes]
    arguments += [each for change in changes for each in ("--set", change)]
    with contextlib.redirect_stdout(io.StringIO()):
        code = cli.main(arguments, standalone_mode=False)
    assert not code, f"{arguments} ended with {code}"
    return Comparison.model_validate_json(Path("runs", name, FILE).read_text(encoding="utf-8"))


def costs(found: Comparison) -> dict[str, Any]:
    """Of every route: bytes and seconds of its files, networks in one inference, compute to train."""
    rows = {}
    for route in found.routes:
        results_ = found.of(route)
        rows[route] = {"passes": results_[0].passes, "effort": fmean(each.effort for each in results_)} | {
            which: {"bytes": results_[0].files[which].bytes, "seconds": text.seconds(found, route, which)}
            for which in FILES
        }
    return rows


def levels(found: Comparison) -> dict[str, Any]:
    """The metric of every route with its interval over seeds and test examples."""
    return {route: {which: vars(text.level_of(found, route, which)) for which in FILES} for route in found.routes}


def counted(found: Comparison) -> dict[str, Any]:
    """The scores of every seed, and what each route has over each other."""
    differences = {
        f"{mine} - {theirs}": {which: vars(text.against(found, mine, theirs, which)) for which in FILES}
        for mine in found.routes
        for theirs in found.routes
        if mine != theirs
    }
    scores = {
        route: {which: [each.files[which].scores["test"][found.metric] for each in found.of(route)] for which in FILES}
        for route in found.routes
    }
    return {"differences": differences, "scores": scores}


def asked(found: Comparison, examples: dataset.Dataset) -> Comparison:
    """The same files, scored on the test examples of other data."""
    metric = METRICS[found.metric]

    @cache
    def facts(path: Path) -> dict[str, Any]:
        contract = metadata.read(path)
        answers = predict(path, metadata.to_model_inputs(contract, examples, examples["test"].x))
        told = evaluate.scored(metadata.to_logits(answers, contract, examples), examples, "test", metric)
        return told | {"scores": {"test": told["scores"]}}

    def again(file: ModelFile) -> ModelFile:
        return file.model_copy(update=facts(Path(file.path)))

    made = [
        each.model_copy(update={"files": {which: again(file) for which, file in each.files.items()}})
        for each in found.made
    ]
    return found.model_copy(update={"made": made})


def main() -> None:
    wanted = sys.argv[1:] or list(CASES)
    earlier = results.read("compare")["cases"] if (results.FOLDER / "compare.json").is_file() else {}
    for case in wanted:
        earlier[case] = compare(case)
        results.write("compare", "make bench-compare", {"cases": earlier}, also=["accelerate"])


if __name__ == "__main__":
    main()
