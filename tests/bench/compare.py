"""Distil, or fuse, or both? On clean images, on wrong labels, on rare classes, and on a set that is uneven by itself.

`make bench-compare` writes compare.json, with what `edgepress compare` prints. What a killed run has finished is in the
cache. The students of the shipped data are asked about all official test images too, of which a fifth are shipped: two
that differ by half a point answer one image in twelve otherwise, so that 2,000 images cannot tell them apart.
"""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import asdict, dataclass, replace
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
MEMBERS = ("one", "two", "three")


@dataclass(frozen=True)
class Case:
    """A recipe, what is changed in it, how many seeds, which routes, and the target that judges alone."""

    recipe: str
    changes: tuple[str, ...] = ()
    seeds: int = 5
    routes: str = ROUTES
    target: str | None = None


OWN = ("task.examples=7000", "task.labels=300", *(f"stages.{name}.epochs=80" for name in MEMBERS))
"""Few labels, of which the teachers have no more than the student."""
CASES = {
    "few": Case("distill-vs-fuse", routes=FEW),
    "few, own teachers": Case("distill-vs-fuse-equal", OWN, routes="plain,distill,both,teacher,fuse"),
    "equal": Case("distill-vs-fuse-equal"),
    "noisy 20%": Case("distill-vs-fuse-noisy", ("task.label_noise=20%",)),
    "noisy 40%": Case("distill-vs-fuse-noisy"),
    "imbalanced": Case("distill-vs-fuse-rare"),
    "sensor": Case("distill-vs-fuse-sensor"),
    "sensor, noisy 40%": Case("distill-vs-fuse-sensor", ("task.label_noise=40%",)),
    "shipped": Case("mobilenet", routes="plain,distill,both,teacher,fuse"),
    "tiny budget": Case("distill-vs-fuse", routes=FEW, target="tests/bench/tiny.yaml"),
    "several devices": Case("distill-vs-fuse", ("targets=[host, raspberry-pi-zero-2w, android-pixel]",), routes=FEW),
}
TAUGHT = "distill,both,teacher,fuse"
BAGGED = tuple(f"stages.{name}.bag=true" for name in MEMBERS)
TRIED = {
    "few, own teachers: temperature 1": Case(
        "distill-vs-fuse-equal", (*OWN, "stages.student.temperature=1"), 5, TAUGHT
    ),
    "few, own teachers: temperature 4": Case(
        "distill-vs-fuse-equal", (*OWN, "stages.student.temperature=4"), 5, TAUGHT
    ),
    "few, own teachers: 8 views": Case("distill-vs-fuse-equal", (*OWN, "stages.student.views=8"), 5, TAUGHT),
    "few, own teachers: 60 epochs": Case("distill-vs-fuse-equal", (*OWN, "stages.student.epochs=60"), 5, TAUGHT),
    "few, own teachers: equal weights": Case("distill-vs-fuse-equal", (*OWN, "stages.fused.weights=equal"), 5, TAUGHT),
    "few, own teachers: bagged": Case("distill-vs-fuse-equal", (*OWN, *BAGGED), 5, TAUGHT),
    "few, own teachers: three architectures": Case(
        "distill-vs-fuse-equal",
        (
            *OWN,
            "stages.two.model.args.channels=[24, 48, 64, 96]",
            "stages.three.model={arch: timm/mobilenetv3_small_050, stride: 16}",
        ),
        5,
        TAUGHT,
    ),
    "noisy 40%: bagged": Case("distill-vs-fuse-noisy", BAGGED, 5, f"plain,{TAUGHT}"),
    "noisy 40%: the labels count a tenth": Case(
        "distill-vs-fuse-noisy", ("stages.student.ce_weight=0.1", "stages.student.kd_weight=0.9"), 5, f"plain,{TAUGHT}"
    ),
    "noisy 40%: 8 views": Case("distill-vs-fuse-noisy", ("stages.student.views=8",), 5, f"plain,{TAUGHT}"),
}
"""What may bring more of a fusion's gain to the student, beside the case that it changes."""
LABELS = (1200, 3000, 7000)
"""Labels that `few` is repeated with, by its first `LABELLED` seeds, to find how many the student alone needs."""
LABELLED = 3
WHOLE = "fashion-mnist"
"""The data whose test split holds that of the shipped data, and four times as many."""


def compare(name: str) -> dict[str, Any]:
    case = (CASES | TRIED)[name]
    found = run(case)
    row = {"date": str(date.today()), "text": text.render(found), **_plain(case)}
    row |= {"costs": costs(found), "levels": levels(found), **counted(found)}
    if found.data["name"] == f"{WHOLE}-10k":
        examples = load_dataset(WHOLE)
        whole = asked(found, examples)
        row["whole"] = {"images": len(examples["test"].y), "levels": levels(whole), **counted(whole)}
    if name == "few":
        more = [
            replace(case, changes=(f"task.labels={many}",), seeds=LABELLED, routes="plain,longer") for many in LABELS
        ]
        row["labels"] = {"300": row["whole"]["scores"]} | {
            str(many): counted(asked(run(each), examples))["scores"] for many, each in zip(LABELS, more, strict=True)
        }
    return row


def _plain(case: Case) -> dict[str, Any]:
    return asdict(case) | {"changes": list(case.changes)}


def run(case: Case) -> Comparison:
    """`edgepress compare`; what an earlier call has finished comes from the cache."""
    arguments = ["compare", case.recipe, "--seeds", str(case.seeds), "--routes", case.routes]
    arguments += ["--target", case.target] if case.target else []
    arguments += [each for change in case.changes for each in ("--set", change)]
    with contextlib.redirect_stdout(io.StringIO()):
        code = cli.main(arguments, standalone_mode=False)
    assert not code, f"{arguments} ended with {code}"
    return Comparison.model_validate_json(Path("runs", case.recipe, FILE).read_text(encoding="utf-8"))


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
    wanted = sys.argv[1:] or [*CASES, *TRIED]
    earlier = results.read("compare")["cases"] if (results.FOLDER / "compare.json").is_file() else {}
    known = {name: _plain(case) for name, case in (CASES | TRIED).items()}
    earlier = {name: row for name, row in earlier.items() if name in known and known[name].items() <= row.items()}
    for name in wanted:
        rows = earlier | {name: compare(name)}
        earlier = {name: rows[name] for name in known if name in rows}
        results.write("compare", "make bench-compare", {"cases": earlier}, also=["accelerate"])


if __name__ == "__main__":
    main()
