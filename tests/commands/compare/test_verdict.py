"""The words of a comparison: the pick under the budget, its price, when another would win, and no difference shown."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from edgepress.commands.compare import text, verdict
from edgepress.commands.compare.results import Comparison, Fits, RouteResult
from edgepress.commands.compare.routes import ROUTES, USUAL
from edgepress.core.results import Machine, ModelFile, Samples

HERE = Machine(cpu="Test CPU", architecture="x86_64", cores=2, features=[], system="Linux, Python")
COSTS = {"plain": 1, "half": 1, "longer": 1, "distill": 1, "both": 1, "teacher": 4, "fuse": 12}
"""Milliseconds, and 100 kB, of each route."""


SIZE = "size 1.2 MB of 1 MB"


def near(words: str, lead: str, value: float) -> bool:
    """Whether after `lead` stands a number near `value`."""
    (found,) = re.findall(re.escape(lead) + r"([+−][\d.]+) \[", words)
    return abs(float(found.replace("−", "-")) - value) < 1


def made(route: str, share: float, seed: int) -> RouteResult:
    hard, own = np.random.default_rng(0).random(4000), np.random.default_rng((seed, *route.encode()))
    right = "".join("1" if each else "0" for each in hard + own.normal(0, 0.02, 4000) < share + 0.002 * (seed - 1))
    files = {
        which: ModelFile(
            path=f"{route}.{which}", kind="onnx", precision=which, bytes=100_000 * COSTS[route], sha256="0",
            scores={"test": {"accuracy": right.count("1") / len(right)}}, correct=right,
        )
        for which in ("float", "int8")
    }  # fmt: skip
    return RouteResult(
        route=route, repetition=seed, parameters=1000, macs=1000, passes=3 if route == "fuse" else 1, files=files,
        agreement={"float": 0.9, "int8": 0.9}, recalls={which: {"a": 0.9, "b": share} for which in files}, effort=2.0,
    )  # fmt: skip


def comparison(shares: dict[str, float], *, unfit: tuple[str, ...] = (), target: str | None = "host") -> Comparison:
    routes = [name for name in ROUTES if name in shares]
    fits = [
        Fits(
            route=route, which=which, checks={"size": "FAIL" if route in unfit else "ok"}, said=["size 1.2 MB of 1 MB"]
        )
        for route in routes
        for which in ("float", "int8")
    ]  # type: ignore[misc]
    times = {name: [[COSTS[name] / 1e3 * (1 + 0.001 * k)] * 5 for k in range(4)] for name in routes}
    return Comparison(
        name="mine", source=["mine.yaml"], date="2026-01-01", machine=HERE, versions={},
        data={"name": "digits", "images": {"train": 90, "validation": 10, "test": 2000}, "limited": None,
              "unlabelled": 0, "classes": {"a": 80, "b": 10}, "task": {"imbalance": "8:1"}, "set": []},
        metric="accuracy", error=False, labels=["a", "b"], routes={name: ROUTES[name] for name in routes},
        repetitions=3, made=[made(name, shares[name], seed) for name in routes for seed in range(3)],
        samples=[
            Samples(path=f"{name}.{which}", runtime="onnxruntime", threads=1, wall=times[name], cpu=times[name])
            for name in routes for which in ("float", "int8")
        ],
        target=target, fits=tuple(fits) if target else (), price=0.05,
    )  # fmt: skip


def words(found: Comparison) -> str:
    return " ".join(line.strip() for line in verdict.words(found))


FAR = {"plain": 0.80, "distill": 0.84, "both": 0.87, "teacher": 0.90, "fuse": 0.93}


def test_the_best_that_fits_is_picked_and_the_others_told() -> None:
    said = words(comparison(FAR, unfit=("teacher", "fuse")))
    assert "Fits host as int8: plain, distill, both." in said
    assert "fuse does not fit host: size 1.2 MB of 1 MB" in said
    assert "Verdict: both, the student, distilled from the fused teachers." in said
    assert near(said, "against plain (1.0x the time and 1.0x the bytes): ", 7)
    assert near(said, "against fuse (12.0x the time and 12.0x the bytes): ", -6)
    assert "fuse would win where the budget allowed it" in said
    assert "no difference shown between" not in said


def test_a_cheaper_training_is_an_advantage_only_where_something_was_trained() -> None:
    found = comparison(FAR, unfit=("teacher", "fuse"))  # the pick is as large and as fast as `plain`
    for effort, expected in ((1.0, "plain would win only by its training, 0.5x the compute"), (0.0, "")):
        rows = tuple(
            each.model_copy(update={"effort": effort}) if each.route == "plain" else each for each in found.made
        )
        assert (f"points{'; ' if expected else ''}{expected}") in words(found.model_copy(update={"made": rows}))
        assert ("by its training" in words(found.model_copy(update={"made": rows}))) == bool(expected)


def test_what_is_smaller_or_faster_would_win_where_that_counts() -> None:
    said = words(comparison(FAR, target=None))
    assert "plain would win where its time counts more" in said
    assert "by its training" not in said


def test_without_a_budget_the_strongest_wins() -> None:
    said = words(comparison(FAR, target=None))
    assert "no target is named" in said
    assert "Verdict: fuse, the fused teachers." in said


def test_where_nothing_is_shown_the_cheaper_route_is_picked_and_so_it_says() -> None:
    said = words(comparison(dict.fromkeys(FAR, 0.85)))
    assert "Verdict: plain, the student on labels alone." in said
    assert "no difference shown between" in said
    assert "the cheaper one is picked" in said


def without_number(found: Comparison, *routes: str) -> Comparison:
    nan = {"scores": {"test": {"accuracy": math.nan}}}
    made = [
        each.model_copy(update={"files": {which: file.model_copy(update=nan) for which, file in each.files.items()}})
        if each.route in routes else each for each in found.made
    ]  # fmt: skip
    return found.model_copy(update={"made": made})


@pytest.mark.parametrize("route", ["plain", "fuse"])
def test_a_route_whose_metric_is_no_number_is_not_picked(route: str) -> None:
    """No difference is shown from it, and as the cheapest it was picked."""
    found = without_number(comparison(FAR), route)
    said = words(found)
    assert f"Verdict: {'teacher' if route == 'fuse' else 'fuse'}" in said
    assert f"against {route}: its accuracy is no finite number, so it is not picked" in said
    (row,) = (row for row in text.cells_of(found, "int8") if row[0].endswith(f" {route}"))
    assert not row[0].startswith("*"), "others are as good in all else"
    assert "Verdict: none of them: the accuracy of plain and fuse is no finite number." in words(
        without_number(comparison({name: FAR[name] for name in ("plain", "fuse")}), "plain", "fuse")
    )


def test_nothing_fits() -> None:
    said = words(comparison(FAR, unfit=USUAL))
    assert "Fits host as int8: none of them." in said
    assert "plain does not fit host" in said
    assert "Verdict: none of them is shown to meet host: a smaller student, or another budget." in said


def test_where_nothing_is_decided_there_is_no_pick() -> None:
    found = comparison(FAR, unfit=("teacher", "fuse"))
    open_ = [each if "FAIL" in each.checks.values() else each.model_copy(update={"checks": {"latency": "undecided"}})
             for each in found.fits]  # fmt: skip
    said = words(found.model_copy(update={"fits": tuple(open_)}))
    assert "plain is not shown to fit host" in said
    assert "fuse does not fit host" in said
    assert "none of them is shown to meet host: decide on plain, distill, both on an idle machine." in said


@pytest.mark.parametrize("status", ["undecided", "no number"])
def test_a_budget_that_is_not_decided_is_not_met(status: str) -> None:
    found = comparison(FAR)
    open_ = [each.model_copy(update={"checks": {"latency": status}}) if each.route == "fuse" else each
             for each in found.fits]  # fmt: skip
    assert "Verdict: teacher" in words(found.model_copy(update={"fits": tuple(open_)}))


def fit(route: str, target: str, **checks: str) -> Fits:
    said = [f"{name}: {status}" for name, status in checks.items()]
    return Fits(route=route, which="int8", target=target, checks=checks, said=said)


def test_a_route_that_another_target_refuses_is_not_picked_and_one_that_is_open_there_is() -> None:
    found = comparison(FAR)
    more = (fit("fuse", "board", size="FAIL"), fit("teacher", "board", size="ok", latency="no number"))
    said = words(found.model_copy(update={"fits": found.fits + more, "others": ("board",)}))
    assert "Verdict: teacher" in said
    assert "fuse does not fit board: size: FAIL" in said
    assert "teacher is not shown to fit board: latency: no number" in said
    assert "Fits board as int8: plain, distill, both." in said


def test_where_only_another_target_is_exceeded_the_verdict_names_it() -> None:
    """Every route met the host and what the recipe keeps, and the verdict said that none did."""
    found = comparison(FAR)
    more = [fit(route, "board", size="FAIL") for route in found.routes]
    kept = [fit(route, "recipe", accuracy_drop="ok") for route in found.routes]
    said = words(found.model_copy(update={"fits": (*found.fits, *more, *kept), "others": ("board",)}))
    assert "Verdict: none of them is shown to meet host, board and the recipe's keep: a smaller student" in said


@pytest.mark.parametrize("status", ["FAIL", "undecided", "no number"])
def test_a_route_that_does_not_keep_what_the_recipe_asks_for_is_not_picked(status: str) -> None:
    found = comparison(FAR)
    said = words(found.model_copy(update={"fits": (*found.fits, fit("fuse", "recipe", keep=status))}))
    assert "Verdict: teacher" in said
    assert "Meets the recipe's keep as int8: plain, distill, both, teacher." in said


def test_an_older_file_is_still_told() -> None:
    """Before budgets were judged for every target, a `Fits` named none."""
    found = comparison(FAR, unfit=("fuse",)).model_dump(mode="json")
    for each in found["fits"]:
        del each["target"]
    for name in ("others", "groups", "constant"):
        del found[name]
    for each in found["made"]:
        for name in ("judged", "reference", "kept", "unfit"):
            del each[name]
    said = words(Comparison.model_validate(found))
    assert "Fits host as int8: plain, distill, both, teacher." in said


def test_what_of_a_fusions_gain_reaches_the_student() -> None:
    said = words(comparison(FAR))
    assert near(said, "Fusing the teachers: ", 3)
    assert near(said, "A student of the fused teachers: ", 3)
    assert re.search(r"\d+% of the gain survives\.", said)
    assert near(said, "The fused teachers are ", 13)
    assert re.search(r"5\d% of the way", said)


def test_a_fusion_that_gains_nothing_says_so() -> None:
    said = words(comparison(FAR | {"fuse": 0.90, "both": 0.84}))
    assert "(no difference shown) over the best single one" in said
    assert "survives" not in said


def test_recipes_have_no_teachers_that_survive() -> None:
    found = comparison(FAR).model_copy(update={"source": [f"{name}.yaml" for name in FAR]})
    assert "Fusing the teachers" not in words(found)


def test_what_routes_leave_out_is_told() -> None:
    found = comparison(FAR).model_copy(update={"left_out": ("prune.channels",)})
    assert "Skipped in every route, after the distillation: prune.channels." in text.render(found)


def test_losses_are_not_told_as_gains() -> None:
    said = words(comparison({"plain": 0.90, "distill": 0.86, "both": 0.87, "teacher": 0.85, "fuse": 0.86}))
    assert "Verdict: plain" in said
    assert "of the way" not in said


def test_the_whole_text_fits_a_terminal_and_tells_each_class() -> None:
    found = text.render(comparison(FAR, unfit=("fuse",)))
    assert max(map(len, found.splitlines())) <= 110, max(found.splitlines(), key=len)
    assert "b (10)" in found
    assert found.index("b (10)") < found.index("a (80)"), "rarest first"
    assert "digits (imbalance 8:1): train 90, validation 10, test 2000; 3 seeds" in found
    row = next(line for line in found.splitlines() if line.startswith("  plain"))
    assert "1 ms" in row
    assert "0.10 MB" in row
    assert "0.0139" in row, "0.05 an hour of a core, a million answers of 1 ms"
