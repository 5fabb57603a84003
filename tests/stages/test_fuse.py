"""`fuse.*`: averages of what may be averaged, and a refusal with advice of what may not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from pipeline import onnxio, scores, zoo
from pipeline.data import Dataset
from pipeline.errors import UserError
from pipeline.predict import predict
from pipeline.scores import METRICS
from pipeline.stage import Artifact
from pipeline.stages.fuse import FuseEnsemble, FuseStack
from pipeline.stages.soup import FuseSoupGreedy, FuseSoupUniform, Soup
from pipeline.stages.train import Train
from pipeline.train import Examples, logits
from tests.conftest import TINY, fresh, saved

Perform = Callable[..., Any]
SOUPS = {"fuse.soup.uniform": FuseSoupUniform, "fuse.soup.greedy": FuseSoupGreedy}


def soup(use: str, *models: str) -> Soup:
    return SOUPS[use].model_validate({"use": use, "models": list(models)})


def ensemble(*models: str) -> FuseEnsemble:
    return FuseEnsemble.model_validate({"use": "fuse.ensemble", "models": list(models)})


def train(**options: Any) -> Train:
    given = {"use": "train", "batch": 64, "lr": 0.02, "flip": False, "shift": 0, "epochs": 4}
    return Train.model_validate(given | options)


def probabilities(artifact: Artifact, data: Dataset) -> np.ndarray[Any, Any]:
    answers = logits(zoo.load(artifact.path)[0], Examples(data, "test", 0))
    found: np.ndarray[Any, Any] = torch.from_numpy(answers).softmax(1).numpy()
    return found


@pytest.fixture(scope="module")
def starts(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    """`a` and `b` from scratch with seeds of their own; `c` and `d` are `a` trained a little further."""
    root = tmp_path_factory.mktemp("starts")
    made: dict[str, Artifact] = {}

    def one(name: str, **options: Any) -> None:
        from pipeline.stage import Context

        (root / name).mkdir()
        (root / f"{name}-scratch").mkdir()
        context = Context(
            root / name, root / f"{name}-scratch", digits, METRICS["accuracy"], 0, root / "r.yaml", ("s8s8",),
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
    module, original = (zoo.load(each.path)[0] for each in (artifact, starts["a"]))
    for (name, mine), theirs in zip(module.named_parameters(), original.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-5, msg=name)
    assert made.notes["members"] == ["one", "two", "three"]
    assert all(abs(each) < 1 for each in made.notes["barriers"].values())


def test_batch_norm_is_estimated_anew_from_the_training_images(
    starts: dict[str, Artifact], digits: Dataset, perform: Perform
) -> None:
    """Statistics that were spoilt on purpose come back, and the momentum stays what it was."""
    module, description = zoo.load(starts["a"].path)
    norms = [layer for layer in module.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    right = [(layer.running_mean.clone(), layer.running_var.clone()) for layer in norms]
    for layer in norms:
        layer.running_mean += 3
        layer.running_var *= 9
    spoilt = saved(module, description, starts["a"].folder.parent / "spoilt")
    artifact, _ = perform(soup("fuse.soup.uniform", "one", "two"), dict.fromkeys(("one", "two"), spoilt), digits)
    found = [layer for layer in zoo.load(artifact.path)[0].modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    for layer, (mean, variance) in zip(found, right, strict=True):
        torch.testing.assert_close(layer.running_mean, mean, atol=0.3, rtol=0.3)
        torch.testing.assert_close(layer.running_var, variance, atol=0.3, rtol=0.5)
        assert layer.momentum == 0.1


def test_integers_are_copied(starts: dict[str, Artifact], digits: Dataset, perform: Perform) -> None:
    artifact, _ = perform(soup("fuse.soup.uniform", "c", "d"), starts, digits)
    for name, tensor in zoo.load(artifact.path)[0].state_dict().items():
        if "num_batches_tracked" in name:
            assert tensor.dtype == torch.int64
            assert int(tensor) >= 4, "one pass over the training images in batches of 256 or a little more"


@pytest.mark.parametrize("use", SOUPS)
def test_a_shared_start_averages(use: str, starts: dict[str, Artifact], digits: Dataset, perform: Perform) -> None:
    artifact, made = perform(soup(use, "c", "d"), starts, digits)
    notes = made.notes
    assert set(notes["alone"]) == {"c", "d"}
    found = 100 * scores.accuracy(
        logits(zoo.load(artifact.path)[0], Examples(digits, "validation", 0)), digits["validation"].y
    )
    assert found == pytest.approx(notes["validation"])
    if use == "fuse.soup.greedy":
        assert found >= max(notes["alone"].values()), "greedy never ends below its best member on validation"


def test_a_soup_is_the_mean_of_its_members(starts: dict[str, Artifact], digits: Dataset, perform: Perform) -> None:
    """Trials with single members come before, and must leave the members as they were."""
    for models in (("c", "d"), ("d", "a", "c")):
        artifact, _ = perform(soup("fuse.soup.uniform", *models), starts, digits)
        members = [dict(zoo.load(starts[name].path)[0].named_parameters()) for name in models]
        for name, found in zoo.load(artifact.path)[0].named_parameters():
            torch.testing.assert_close(found, torch.stack([each[name] for each in members]).mean(0), msg=name)


@pytest.mark.parametrize("use", SOUPS)
def test_independent_starts_are_refused_with_advice(
    use: str, starts: dict[str, Artifact], digits: Dataset, perform: Perform
) -> None:
    with pytest.raises(UserError, match="do not average: their midpoint is") as error:
        perform(soup(use, "a", "b"), starts, digits)
    (problem,) = error.value.problems
    assert "`a`" in problem.message
    assert "`b`" in problem.message
    assert "fuse.ensemble" in problem.help


@pytest.mark.parametrize("use", SOUPS)
def test_another_architecture_is_refused(
    use: str, starts: dict[str, Artifact], digits: Dataset, tmp_path: Path, perform: Perform
) -> None:
    other = fresh(zoo.Network(arch="timm/mobilenetv2_035"), digits, tmp_path / "other")
    with pytest.raises(UserError, match="`other` is not the architecture of `a`"):
        perform(soup(use, "a", "other"), starts | {"other": other}, digits)


def test_a_pruned_model_and_its_origin_are_refused(
    starts: dict[str, Artifact], digits: Dataset, perform: Perform
) -> None:
    from pipeline.stages.prune import PruneChannels

    options = {"use": "prune.channels", "ratio": "30%", "round_to": 1, "finetune": {"epochs": 0}}
    pruned, _ = perform(PruneChannels.model_validate(options), {"input": starts["a"]}, digits)
    with pytest.raises(UserError, match="not the architecture"):
        perform(soup("fuse.soup.uniform", "a", "pruned"), starts | {"pruned": pruned}, digits)


def test_an_ensemble_is_the_mean_of_its_members(
    starts: dict[str, Artifact], digits: Dataset, tmp_path: Path, perform: Perform
) -> None:
    """Of any architectures; in torch, and as the one ONNX graph that it exports to."""
    other = fresh(zoo.Network(arch="timm/mobilenetv2_035"), digits, tmp_path / "other")
    inputs = {"a": starts["a"], "other": other}
    artifact, made = perform(ensemble("a", "other"), inputs, digits)
    mean = np.mean([probabilities(each, digits) for each in inputs.values()], axis=0)
    np.testing.assert_allclose(probabilities(artifact, digits), mean, atol=1e-5)

    onnxio.export(zoo.load(artifact.path)[0], digits, tmp_path / "model.onnx")
    answers = predict(tmp_path / "model.onnx", digits.input.ready(digits["test"].x[:40]))
    np.testing.assert_allclose(torch.from_numpy(answers).softmax(1).numpy(), mean[:40], atol=1e-4)

    notes, y = made.notes, digits["validation"].y
    held_out = Examples(digits, "validation", 0)
    for name, each in inputs.items():
        assert notes["members_nll"][name] == pytest.approx(scores.nll(logits(zoo.load(each.path)[0], held_out), y))
    assert notes["nll"] == pytest.approx(scores.nll(logits(zoo.load(artifact.path)[0], held_out), y))


def test_an_ensemble_of_ensembles_and_no_soup_of_them(
    starts: dict[str, Artifact], few: Dataset, perform: Perform
) -> None:
    inner, _ = perform(ensemble("a", "b"), starts, few)
    outer, _ = perform(ensemble("inner", "a"), starts | {"inner": inner}, few)
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
