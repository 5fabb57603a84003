"""Distil, or fuse, or both? On clean images, on wrong labels, on rare classes, and on a set that is uneven by itself.

`make bench-compare` writes compare.json, with what `edgepress compare` prints. What a killed run has finished is in the
cache. The students of the shipped data are asked about all official test images too, of which a fifth are shipped: two
that differ by half a point answer one image in twelve otherwise, so that 2,000 images cannot tell them apart.
"""

from __future__ import annotations

import contextlib
import io
import sys
from functools import cache
from pathlib import Path
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

ROUTES = "plain,distill,both,teacher,fuse"
FILES = ("float", "int8")
CASES: dict[str, tuple[str, list[str], int]] = {
    "clean": ("distill-vs-fuse", [], 5),
    "noisy": ("distill-vs-fuse", ["task.label_noise=20%"], 3),
    "imbalanced": ("distill-vs-fuse", ["task.imbalance=50:1", "task.examples=1900"], 3),
    "sensor": ("distill-vs-fuse-sensor", [], 5),
    "shipped": ("mobilenet", [], 8),
}
"""Name → recipe, what is changed in it, and how many seeds."""
MORE = {"clean": "plain,soup,distill,both,teacher,fuse", "sensor": "plain,soup,distill,both,teacher,fuse"}
"""`longer` takes as long as all the rest together."""
WHOLE = {"shipped": "fashion-mnist"}
"""Case → the data whose test split holds that of the case, and more."""


def compare(case: str) -> dict[str, Any]:
    name, changes, seeds = CASES[case]
    arguments = ["compare", name, "--seeds", str(seeds), "--routes", MORE.get(case, ROUTES)]
    arguments += [each for change in changes for each in ("--set", change)]
    with contextlib.redirect_stdout(io.StringIO()):
        code = cli.main(arguments, standalone_mode=False)
    assert not code, f"{arguments} ended with {code}"
    found = Comparison.model_validate_json(Path("runs", name, FILE).read_text(encoding="utf-8"))
    told = {"seeds": seeds, "text": text.render(found), "changes": changes, **counted(found)}
    if case in WHOLE:
        examples = load_dataset(WHOLE[case])
        told["whole"] = {"images": len(examples["test"].y), **counted(asked(found, examples))}
    return told


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
