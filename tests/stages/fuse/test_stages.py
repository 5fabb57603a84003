"""`fuse.*`: averages of what may be averaged, and a refusal with advice of what may not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from edgepress.core import metric_functions
from edgepress.core.errors import UserError
from edgepress.core.metrics import METRICS
from edgepress.data.dataset import Dataset, Split, Task, measured
from edgepress.models import checkpoint
from edgepress.models.description import Network
from edgepress.models.onnx import export
from edgepress.models.predict import predict
from edgepress.stage import Artifact
from edgepress.stages import TABLE
from edgepress.stages.fuse import mixing
from edgepress.stages.fuse.ensemble import FuseEnsemble, FuseStack
from edgepress.stages.fuse.soup import Soup
from edgepress.stages.train import Train
from edgepress.training import Examples, logits
from pydantic import ValidationError

from tests.conftest import TINY, fresh, saved

Perform = Callable[..., Any]
SOUPS = ("fuse.soup.uniform", "fuse.soup.greedy")
MIXES: dict[str, dict[str, Any]] = {
    "fuse.soup.uniform": {},
    "fuse.soup.weighted": {"weights": [0.25, 0.75]},
    "fuse.soup.greedy": {},
    "fuse.slerp": {"t": 0.3},
    "fuse.task_arithmetic": {"base": "a"},
    "fuse.ties": {"base": "a"},
    "fuse.dare": {"base": "a"},
    "fuse.model_stock": {"base": "a"},
}
"""Every method of weights, with what it needs for two models."""


def soup(use: str, *models: str, **options: Any) -> Soup:
    return cast("Soup", TABLE[use].model_validate({"use": use, "models": list(models)} | options))


def ensemble(*models: str, **options: Any) -> FuseEnsemble:
    return FuseEnsemble.model_validate({"use": "fuse.ensemble", "models": list(models)} | options)


def stack(*models: str) -> FuseStack:
    return FuseStack.model_validate({"use": "fuse.stack", "models": list(models)})


def train(**options: Any) -> Train:
    given = {"use": "train", "batch": 64, "lr": 0.02, "flip": False, "shift": 0, "epochs": 4}
    return Train.model_validate(given | options)


def probabilities(artifact: Artifact, data: Dataset) -> np.ndarray[Any, Any]:
    answers = logits(checkpoint.load(artifact.path)[0], Examples(data, "test", 0))
    found: np.ndarray[Any, Any] = torch.from_numpy(answers).softmax(1).numpy()
    return found


@pytest.fixture(scope="module")
def starts(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    """`a` and `b` from scratch with seeds of their own; `c` and `d` are `a` trained a little further."""
    root = tmp_path_factory.mktemp("starts")
    made: dict[str, Artifact] = {}

    def one(name: str, **options: Any) -> None:
        from edgepress.stage import Context

        (root / name).mkdir()
        (root / f"{name}-scratch").mkdir()
        context = Context(
            root / name, root / f"{name}-scratch", digits, METRICS["accuracy"], 0, root / "r.yaml", ("xnnpack",),
            lambda done, total, words: None, lambda key, make: root,
        )  # fmt: skip
        train(**options).run(made, context)
        made[name] = Artifact("torch", root / name)

    one("a", model=TINY, seed=1)
    one("b", model=TINY, seed=2)
    one("c", start="a", seed=3, epochs=1, lr=0.001)
    one("d", start="a", seed=4, epochs=1, lr=0.001)
    return made


@pytest.mark.parametrize("use", SOUPS)
def test_a_soup_of_equal_models_is_that_model(
    use: str, starts: dict[str, Artifact], digits: Dataset, perform: Perform
) -> None:
    artifact, made = perform(
        soup(use, "one", "two", "three"), dict.fromkeys(("one", "two", "three"), starts["a"]), digits
    )
    module, original = (checkpoint.load(each.path)[0] for each in (artifact, starts["a"]))
    for (name, mine), theirs in zip(module.named_parameters(), original.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-5, msg=name)
    assert made.notes["members"] == ["one", "two", "three"]
    assert all(abs(each) < 1 for each in made.notes["barriers"].values())


def test_batch_norm_is_estimated_anew_from_the_training_images(
    starts: dict[str, Artifact], digits: Dataset, perform: Perform
) -> None:
    """Statistics that were spoilt on purpose come back, and the momentum stays what it was."""
    module, description = checkpoint.load(starts["a"].path)
    norms = [layer for layer in module.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    right = [(layer.running_mean.clone(), layer.running_var.clone()) for layer in norms]
    for layer in norms:
        layer.running_mean += 3
        layer.running_var *= 9
    spoilt = saved(module, description, starts["a"].folder.parent / "spoilt")
    artifact, _ = perform(soup("fuse.soup.uniform", "one", "two"), dict.fromkeys(("one", "two"), spoilt), digits)
    found = [layer for layer in checkpoint.load(artifact.path)[0].modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    for layer, (mean, variance) in zip(found, right, strict=True):
        torch.testing.assert_close(layer.running_mean, mean, atol=0.3, rtol=0.3)
        torch.testing.assert_close(layer.running_var, variance, atol=0.3, rtol=0.5)
        assert layer.momentum == 0.1


def test_integers_are_copied(starts: dict[str, Artifact], digits: Dataset, perform: Perform) -> None:
    artifact, _ = perform(soup("fuse.soup.uniform", "c", "d"), starts, digits)
    for name, tensor in checkpoint.load(artifact.path)[0].state_dict().items():
        if "num_batches_tracked" in name:
            assert tensor.dtype == torch.int64
            assert int(tensor) >= 4, "one pass over the training images in batches of 256 or a little more"


@pytest.mark.parametrize("use", SOUPS)
def test_a_shared_start_averages(use: str, starts: dict[str, Artifact], digits: Dataset, perform: Perform) -> None:
    artifact, made = perform(soup(use, "c", "d"), starts, digits)
    notes = made.notes
    assert set(notes["alone"]) == {"c", "d"}
    found = 100 * metric_functions.accuracy(
        logits(checkpoint.load(artifact.path)[0], Examples(digits, "validation", 0)), digits["validation"].y
    )
    assert found == pytest.approx(notes["validation"])
    if use == "fuse.soup.greedy":
        assert found >= max(notes["alone"].values()), "greedy never ends below its best member on validation"


def test_a_soup_is_the_mean_of_its_members(starts: dict[str, Artifact], digits: Dataset, perform: Perform) -> None:
    """Trials with single members come before, and must leave the members as they were."""
    for models in (("c", "d"), ("d", "a", "c")):
        artifact, _ = perform(soup("fuse.soup.uniform", *models), starts, digits)
        members = [dict(checkpoint.load(starts[name].path)[0].named_parameters()) for name in models]
        for name, found in checkpoint.load(artifact.path)[0].named_parameters():
            torch.testing.assert_close(found, torch.stack([each[name] for each in members]).mean(0), msg=name)


@pytest.mark.parametrize("use", MIXES)
def test_independent_starts_are_refused_with_advice(
    use: str, starts: dict[str, Artifact], digits: Dataset, perform: Perform
) -> None:
    with pytest.raises(UserError, match="do not average: their midpoint is") as error:
        perform(soup(use, "a", "b", **MIXES[use]), starts, digits)
    (problem,) = error.value.problems
    assert "`a`" in problem.message
    assert "`b`" in problem.message
    assert "fuse.ensemble" in problem.help
    assert "`align: rebasin`" in problem.help


@pytest.mark.parametrize("use", SOUPS)
def test_another_architecture_is_refused(
    use: str, starts: dict[str, Artifact], digits: Dataset, tmp_path: Path, perform: Perform
) -> None:
    other = fresh(Network(arch="timm/mobilenetv2_035"), digits, tmp_path / "other")
    with pytest.raises(UserError, match="`other` is not the architecture of `a`"):
        perform(soup(use, "a", "other"), starts | {"other": other}, digits)


def test_a_pruned_model_and_its_origin_are_refused(
    starts: dict[str, Artifact], digits: Dataset, perform: Perform
) -> None:
    from edgepress.stages.prune import PruneChannels

    options = {"use": "prune.channels", "ratio": "30%", "round_to": 1, "finetune": {"epochs": 0}}
    pruned, _ = perform(PruneChannels.model_validate(options), {"input": starts["a"]}, digits)
    with pytest.raises(UserError, match="`pruned` is not pruned as `a` is"):
        perform(soup("fuse.soup.uniform", "a", "pruned"), starts | {"pruned": pruned}, digits)


def test_an_ensemble_is_the_mean_of_its_members(
    starts: dict[str, Artifact], digits: Dataset, tmp_path: Path, perform: Perform
) -> None:
    """Of any architectures; in torch, and as the one ONNX graph that it exports to."""
    other = fresh(Network(arch="timm/mobilenetv2_035"), digits, tmp_path / "other")
    inputs = {"a": starts["a"], "other": other}
    artifact, made = perform(ensemble("a", "other", weights="equal"), inputs, digits)
    mean = np.mean([probabilities(each, digits) for each in inputs.values()], axis=0)
    np.testing.assert_allclose(probabilities(artifact, digits), mean, atol=1e-5)

    export.export(checkpoint.load(artifact.path)[0], digits, tmp_path / "model.onnx")
    answers = predict(tmp_path / "model.onnx", digits.input.to_model_inputs(digits["test"].x[:40]))
    np.testing.assert_allclose(torch.from_numpy(answers).softmax(1).numpy(), mean[:40], atol=1e-4)

    notes, y = made.notes, digits["validation"].y
    held_out = Examples(digits, "validation", 0)
    for name, each in inputs.items():
        assert notes["members_nll"][name] == pytest.approx(
            metric_functions.nll(logits(checkpoint.load(each.path)[0], held_out), y)
        )
    assert notes["nll"] == pytest.approx(metric_functions.nll(logits(checkpoint.load(artifact.path)[0], held_out), y))


def test_an_ensemble_of_ensembles_and_no_soup_of_them(
    starts: dict[str, Artifact], few: Dataset, perform: Perform
) -> None:
    inner, _ = perform(ensemble("a", "b", weights="equal"), starts, few)
    outer, _ = perform(ensemble("inner", "a", weights="equal"), starts | {"inner": inner}, few)
    mean = np.mean([probabilities(inner, few), probabilities(starts["a"], few)], axis=0)
    np.testing.assert_allclose(probabilities(outer, few), mean, atol=1e-5)
    with pytest.raises(UserError, match="an ensemble has no weights to average") as error:
        perform(soup("fuse.soup.uniform", "a", "inner"), starts | {"inner": inner}, few)
    assert "members" in error.value.problems[0].help


def test_a_set_that_leaves_one_image_over(starts: dict[str, Artifact], digits: Dataset, perform: Perform) -> None:
    """257 images in batches of 256 would give batch norm a batch of one."""
    perform(soup("fuse.soup.uniform", "one", "two"), dict.fromkeys(("one", "two"), starts["a"]), digits.limited(257))


@pytest.mark.parametrize("models", [[], ["a"], "a"])
def test_one_model_is_nothing_to_fuse(models: Any) -> None:
    with pytest.raises(ValidationError):
        FuseEnsemble.model_validate({"use": "fuse.ensemble", "models": models})


@pytest.mark.parametrize("use", MIXES)
def test_every_method_mixes_what_shares_a_start(
    use: str, starts: dict[str, Artifact], digits: Dataset, perform: Perform
) -> None:
    """As `fusion.mixing` has it, with the statistics that are better on validation."""
    options = MIXES[use]
    artifact, made = perform(soup(use, "c", "d", bn="mean", **options), starts, digits, seed=7)
    base, *states = (checkpoint.load(starts[name].path)[0].state_dict() for name in ("a", "c", "d"))
    functions = {
        "fuse.soup.uniform": lambda: mixing.mean(states),
        "fuse.soup.weighted": lambda: mixing.weighted(states, options["weights"]),
        "fuse.soup.greedy": lambda: mixing.mean([states["cd".index(name)] for name in made.notes["members"]]),
        "fuse.slerp": lambda: mixing.slerp(*states, options["t"]),
        "fuse.task_arithmetic": lambda: mixing.task_arithmetic(base, states, 0.3),
        "fuse.ties": lambda: mixing.ties(base, states, 0.2, 1.0),
        "fuse.dare": lambda: mixing.dare(base, states, 0.5, 1.0, 7),
        "fuse.model_stock": lambda: mixing.model_stock(base, states),
    }
    expected = functions[use]()
    for name, found in checkpoint.load(artifact.path)[0].state_dict().items():
        torch.testing.assert_close(found, expected[name], msg=name)
    assert set(made.notes["barriers"]) == {"d"}
    assert made.notes["bn"] == ("mean" if len(made.notes["members"]) == 2 else None)
    reached = made.notes["validation"]
    _, best = perform(soup(use, "c", "d", **options), starts, digits, seed=7)
    assert best.notes["validation"] >= reached


def test_rebasin_lowers_the_barrier_of_independent_starts(
    starts: dict[str, Artifact], digits: Dataset, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgepress.stages.fuse import trials

    monkeypatch.setattr(trials, "BARRIER", 200.0)
    found = {
        align: perform(soup("fuse.soup.uniform", "a", "b", align=align), starts, digits)[1].notes["barriers"]["b"]
        for align in (None, "rebasin")
    }
    assert found["rebasin"] < found[None] - 5


def test_what_is_refused_may_mix_once_it_is_aligned(digits: Dataset, perform: Perform) -> None:
    """Two networks without batch norm, trained from starts of their own on the pixels as numbers."""
    splits = {name: Split(x.reshape(len(x), -1).astype(np.float32), y) for name, (x, y) in digits.splits.items()}
    data = replace(digits, splits=splits, inputs=(measured("pixels", "numbers", splits["train"].x),))
    network = {"arch": "edgepress/mlp", "args": {"width": 64, "dropout": 0.0}}
    made = {
        name: perform(train(model=network, seed=seed, epochs=8, lr=0.003), {}, data)[0]
        for name, seed in (("one", 1), ("two", 2))
    }
    with pytest.raises(UserError, match="do not average"):
        perform(soup("fuse.slerp", "one", "two"), made, data)
    _, aligned = perform(soup("fuse.slerp", "one", "two", align="rebasin"), made, data)
    assert aligned.notes["validation"] > min(aligned.notes["alone"].values()) - 2
    assert aligned.notes["bn"] is None


def test_advice_for_what_is_aligned_already(
    starts: dict[str, Artifact], digits: Dataset, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgepress.stages.fuse import trials

    monkeypatch.setattr(trials, "BARRIER", -200.0)
    with pytest.raises(UserError, match="do not average") as error:
        perform(soup("fuse.soup.uniform", "a", "b", align="rebasin"), starts, digits)
    (problem,) = error.value.problems
    assert "fuse.ensemble" in problem.help
    assert "rebasin" not in problem.help


def test_a_base_in_another_order_follows_the_members(
    starts: dict[str, Artifact], digits: Dataset, tmp_path: Path, perform: Perform
) -> None:
    """Odd channel counts as well; deltas from a base whose channels stand elsewhere would be noise."""
    from edgepress.stages.fuse import rebasin

    args = {"layers": [1, 1, 1, 1], "channels": [7, 13, 11, 9], "stem_width": 7}
    base, _ = perform(train(model={"arch": "timm/resnet18", "args": args}), {}, digits)
    made = {"base": base}
    for name, seed in (("one", 3), ("two", 4)):
        made[name], _ = perform(train(start="base", seed=seed, epochs=1, lr=0.001), made, digits)
    module, description = checkpoint.load(base.path)
    state = module.state_dict()
    for group in rebasin.permutable(module, description.example()):
        state = rebasin.reordered(state, group, torch.arange(len(group[0].places)).flip(0))
    module.load_state_dict(state)
    shuffled = made | {"base": saved(module, description, tmp_path / "shuffled")}
    options = {"base": "base", "align": "rebasin", "bn": "mean"}
    found = [
        checkpoint.load(perform(soup("fuse.ties", "one", "two", **options), each, digits)[0].path)[0].state_dict()
        for each in (made, shuffled)
    ]
    for name, tensor in found[0].items():
        torch.testing.assert_close(found[1][name], tensor, msg=name)


def test_other_shapes_are_refused(
    starts: dict[str, Artifact], digits: Dataset, tmp_path: Path, perform: Perform
) -> None:
    network = Network.model_validate(TINY)
    description = network.describe(digits).model_copy(update={"classes": 7})
    other = saved(description.build(), description, tmp_path / "other")
    wrong = "2 tensors of `other` have other shapes than in `a`: `fc.weight` is 7×32, not 10×32"
    with pytest.raises(UserError, match=wrong):
        perform(soup("fuse.soup.uniform", "a", "other"), starts | {"other": other}, digits)
    with pytest.raises(UserError, match="`other` has 7 classes, `a` has 10"):
        perform(ensemble("a", "b", "other"), starts | {"other": other}, digits)


def test_slerp_is_between_two() -> None:
    with pytest.raises(ValidationError, match="models"):
        soup("fuse.slerp", "a", "b", "c")


@pytest.mark.parametrize("weights", [[1.0], [0.5, 0.25, 0.25], [0.5, 0.6], [1.5, -0.5], [float("nan"), 1.0]])
@pytest.mark.parametrize("use", ["fuse.soup.weighted", "fuse.ensemble"])
def test_weights_that_are_no_weights(use: str, weights: list[float]) -> None:
    with pytest.raises(ValidationError, match=r"write 2 weights|1 in sum"):
        TABLE[use].model_validate({"use": use, "models": ["a", "b"], "weights": weights})


def test_fitted_weights_are_no_worse_than_any_member_or_the_mean(
    starts: dict[str, Artifact], digits: Dataset, tmp_path: Path, perform: Perform
) -> None:
    inputs = starts | {"fresh": fresh(Network(arch="timm/mobilenetv2_035"), digits, tmp_path / "fresh")}
    models = ("fresh", "a", "b", "c")
    _, equal = perform(ensemble(*models, weights="equal"), inputs, digits)
    for of in ("probabilities", "logits"):
        artifact, made = perform(ensemble(*models, of=of), inputs, digits)
        weights = made.notes["weights"]
        assert list(weights) == list(models)
        assert sum(weights.values()) == pytest.approx(1)
        assert weights["fresh"] < 0.05, "it has learnt nothing"
        assert made.notes["nll"] <= min(made.notes["members_nll"].values())
        assert made.notes["nll"] < equal.notes["nll"]
        held_out, y = Examples(digits, "validation", 0), digits["validation"].y
        assert metric_functions.nll(logits(checkpoint.load(artifact.path)[0], held_out), y) == pytest.approx(
            made.notes["nll"]
        )


def test_given_weights_and_logits(starts: dict[str, Artifact], digits: Dataset, perform: Perform) -> None:
    artifact, made = perform(ensemble("a", "b", weights=[0.2, 0.8], of="logits"), starts, digits)
    assert made.notes["weights"] == {"a": pytest.approx(0.2), "b": pytest.approx(0.8)}
    found, one, two = (
        logits(checkpoint.load(each.path)[0], Examples(digits, "test", 0))
        for each in (artifact, starts["a"], starts["b"])
    )
    np.testing.assert_allclose(found, 0.2 * one + 0.8 * two, atol=1e-4)


def test_a_stack_is_one_graph_and_better_than_its_members(
    starts: dict[str, Artifact], digits: Dataset, tmp_path: Path, perform: Perform
) -> None:
    artifact, made = perform(stack("a", "b"), starts, digits)
    module, description = checkpoint.load(artifact.path)
    assert description.combine == "stack"
    y = digits["validation"].y
    fitted = metric_functions.nll(logits(module, Examples(digits, "validation", 0)), y)
    assert fitted <= min(made.notes["members_nll"].values())
    assert fitted < made.notes["out_of_fold_nll"] < 2
    export.export(checkpoint.load(artifact.path)[0], digits, tmp_path / "model.onnx")
    answers = predict(tmp_path / "model.onnx", digits.input.to_model_inputs(digits["test"].x[:40]))
    np.testing.assert_allclose(answers, logits(module, Examples(digits, "test", 0))[:40], atol=1e-3)
    with pytest.raises(UserError, match="`stack` is an ensemble"):
        perform(soup("fuse.soup.uniform", "a", "stack"), starts | {"stack": artifact}, digits)


def test_a_stack_needs_examples_of_every_class(starts: dict[str, Artifact], digits: Dataset, perform: Perform) -> None:
    x, y = digits["validation"]
    keep = y != 4
    without = replace(digits, splits=digits.splits | {"validation": Split(x[keep], y[keep])})
    with pytest.raises(UserError, match="validation has no example of `4`"):
        perform(stack("a", "b"), starts, without)


@pytest.mark.parametrize("task", ["multi-label", "regression"])
def test_other_tasks_fit_and_stack(task: Task, digits: Dataset, tmp_path: Path, perform: Perform) -> None:
    """Odd or not and large or not; or the mean of the pixels' halves, in a unit of their own."""

    def answers(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if task == "multi-label":
            return np.stack([y % 2, y > 4], 1).astype(np.uint8)
        return np.stack([1000 * part.mean((1, 2, 3)) for part in np.split(x.astype(np.float32), 2, 2)], 1)

    splits = {name: Split(x, answers(x, y)) for name, (x, y) in digits.splits.items()}
    data = replace(digits, labels=("one", "other"), splits=splits, task=task)
    metric = METRICS["accuracy" if task == "multi-label" else "mae"]
    inputs = {}
    for name, seed in (("a", 1), ("b", 2)):
        inputs[name], _ = perform(train(model=TINY, seed=seed, epochs=1), {}, data, metric=metric)
    y = data["validation"].y
    for stage in (ensemble("a", "b"), stack("a", "b")):
        artifact, made = perform(stage, inputs, data, metric=metric)
        found = logits(checkpoint.load(artifact.path)[0], Examples(data, "validation", 0))
        assert found.shape == (len(y), 2)
        assert metric_functions.nll(found, y) <= min(made.notes["members_nll"].values()) * (1 + 1e-5)
        export.export(checkpoint.load(artifact.path)[0], data, tmp_path / "model.onnx")
        told = predict(tmp_path / "model.onnx", data.input.to_model_inputs(data["validation"].x[:20]))
        np.testing.assert_allclose(told, found[:20], rtol=1e-3, atol=1e-3)
