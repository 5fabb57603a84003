"""Networks whose outputs are maps: shapes that the task decides, one tensor, and what does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edgepress.core.errors import OwnCodeError, UserError
from edgepress.core.user_code import Code, Function
from edgepress.data.dataset import Dataset, Split, Task, measured
from edgepress.data.facts import DataFacts
from edgepress.models import checkpoint
from edgepress.models.description import Network
from pydantic import ValidationError
from torch import nn

SMALL = "timm/test_efficientnet"
LRASPP = "torchvision/segmentation/lraspp_mobilenet_v3_large"


def made(task: Task, side: int = 32) -> Dataset:
    """Three pictures, and targets of the task's form."""
    x = np.random.default_rng(0).integers(0, 256, (3, 3, side, side)).astype(np.uint8)
    targets = {
        "segmentation": np.zeros((3, side, side), np.uint8),
        "keypoints": np.full((3, 4, 3), 0.5, np.float32),
        "embedding": np.arange(3),
        "image": np.zeros((3, 1, 2 * side, 2 * side), np.uint8),
        "single-label": np.arange(3),
    }
    split = Split(x, targets[task])
    labels = {"embedding": (), "image": ()}.get(task, ("a", "b", "c", "d"))
    input = measured("input", "image", x, scale=1 / 255)
    return Dataset("made", labels, dict.fromkeys(("train", "validation", "test"), split), (input,), task)


def outputs(module: nn.Module, data: Dataset) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = module.eval()(torch.from_numpy(data.to_model_inputs(data["test"].x)[0]))
    return found


@pytest.mark.parametrize(
    ("network", "task", "shape"),
    [
        (SMALL, "segmentation", (4, 32, 32)),
        (SMALL, "keypoints", (4, 8, 8)),  # the default leaves 2 × 2 cells
        ({"arch": SMALL, "stride": 32}, "keypoints", (4, 4, 4)),
        (SMALL, "image", (1, 64, 64)),
        (SMALL, "embedding", (64,)),
        ({"arch": SMALL, "embedding": 7}, "embedding", (7,)),
        ({"arch": SMALL, "head_channels": 9}, "segmentation", (4, 32, 32)),
        ({"arch": "timm/mambaout_femto", "args": {"depths": [1] * 4}}, "segmentation", (4, 32, 32)),  # channels last
        ("edgepress/espcn", "image", (1, 64, 64)),
        ({"arch": "edgepress/espcn", "args": {"width": 4, "depth": 1}}, "image", (1, 64, 64)),
        (LRASPP, "segmentation", (4, 32, 32)),
        (LRASPP, "keypoints", (4, 32, 32)),
        ("edgepress/mlp", "embedding", (64,)),
    ],
)
def test_the_task_decides_the_outputs(network: Any, task: Task, shape: tuple[int, ...], tmp_path: Path) -> None:
    data = made(task)
    description = Network.model_validate(network).describe(data)
    module = description.build()
    found = outputs(module, data)
    assert found.shape == (3, *shape)
    checkpoint.save(module, description, tmp_path / "m.safetensors")
    loaded, read = checkpoint.load(tmp_path / "m.safetensors")
    assert read == description
    assert torch.equal(outputs(loaded, data), found)


def test_vectors_of_a_teacher_set_the_length() -> None:
    data = made("embedding")
    vectors = {name: Split(x, np.zeros((3, 11), np.float32)) for name, (x, _) in data.splits.items()}
    description = Network(arch=SMALL).describe(replace(data, splits=vectors))
    assert description.output == (11,)


def test_weights_have_torchvisions_names() -> None:
    from torchvision import models

    module = Network(arch=LRASPP).describe(made("segmentation")).build()
    theirs = models.get_model("lraspp_mobilenet_v3_large", weights_backbone=None, num_classes=4)
    assert module.state_dict().keys() == theirs.state_dict().keys()


def test_the_stride_of_a_backbone_can_be_set() -> None:
    data = made("segmentation")
    usual, finer = (
        Network.model_validate({"arch": LRASPP, "stride": stride}).describe(data).build() for stride in (None, 8)
    )
    x = torch.zeros(1, 3, 32, 32)
    assert usual.backbone(x)["high"].shape[-1] == 2  # type: ignore[operator]
    assert finer.backbone(x)["high"].shape[-1] == 4  # type: ignore[operator]


def test_every_weight_of_the_head_learns() -> None:
    data = made("segmentation")
    module = Network(arch=SMALL).describe(data).build().train()
    module(torch.randn(4, 3, 32, 32)).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize(
    ("network", "task", "message", "help"),
    [
        ("torchvision/resnet18", "segmentation", "makes 4 of one example, and the task is segmentation", "timm/NAME"),
        (LRASPP, "single-label", "makes 4 × 32 × 32 of one example, and the task is single-label", "torchvision/NAME"),
        (LRASPP, "image", "of 1 × 64 × 64", "edgepress/espcn"),
        ("edgepress/mlp", "segmentation", "makes 4 of one example", "timm/NAME"),
        ({"arch": LRASPP, "args": {"width_mult": 0.5}}, "segmentation", "takes no arguments", "timm/NAME"),
        ({"arch": SMALL, "args": {"no_such": 1}}, "segmentation", "timm cannot build `test_efficientnet`", "args"),
    ],
)
def test_what_does_not_fit_is_named(network: Any, task: Task, message: str, help: str) -> None:
    with pytest.raises(UserError) as error:
        Network.model_validate(network).describe(made(task)).build()
    (problem,) = error.value.problems
    assert message in problem.message
    assert help in problem.help


def test_targets_that_are_no_multiple_are_refused() -> None:
    data = made("image")
    odd = {name: Split(x, np.zeros((3, 1, 48, 48), np.uint8)) for name, (x, _) in data.splits.items()}
    with pytest.raises(
        UserError, match="makes pictures of 32 × 32 pixels larger by a whole factor, and the targets have 48 × 48"
    ):
        Network(arch="edgepress/espcn").describe(replace(data, splits=odd)).build()


@pytest.mark.parametrize(
    ("network", "task", "message"),
    [
        ("torchvision/resnet18", "segmentation", "the outputs of segmentation are maps"),
        ("edgepress/espcn", "single-label", "the outputs of single-label are one vector for each example"),
        (LRASPP, "multi-label", "one vector"),
        ({"arch": SMALL, "embedding": 8}, "segmentation", "`embedding` is for the task embedding"),
        ({"arch": SMALL, "head_channels": 8}, "single-label", "gets no head"),
        ({"arch": LRASPP, "head_channels": 8}, "segmentation", "gets no head"),
        (SMALL, "segmentation", None),
        (LRASPP, "keypoints", None),
        ("edgepress/espcn", "image", None),
        ({"arch": SMALL, "embedding": 8}, "embedding", None),
    ],
)
def test_options_alone_are_refused_before_anything_is_built(network: Any, task: Task, message: str | None) -> None:
    facts = DataFacts(task=task, kinds=("image",), channels=3)
    rejections = list(Network.model_validate(network).reject_data(facts, "model"))
    assert [message in rejection.message for rejection in rejections if message] == [True] * bool(message)
    assert len(rejections) == bool(message)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("nn.Conv2d(3, num_classes, 1)", None),
        ("nn.Conv2d(3, num_classes, 1, stride=2)", "returns 1 × 4 × 16 × 16"),
        ("nn.Sequential(nn.Flatten(), nn.Linear(3072, num_classes))", "returns 1 × 4"),
    ],
)
def test_a_network_of_ones_own(code: str, message: str | None, tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(f"from torch import nn\ndef build(num_classes):\n    return {code}\n")
    functions = Code({"./net.py:build": Function.at(file, "build")})
    description = Network(arch="./net.py:build").describe(made("segmentation"))
    if message is None:
        assert outputs(description.build(functions), made("segmentation")).shape == (3, 4, 32, 32)
        return
    with pytest.raises(OwnCodeError, match=message) as error:
        description.build(functions)
    assert error.value.problems[0].help == "return one float tensor (batch, 4, 32, 32)"


def test_a_model_for_other_outputs_is_named() -> None:
    data = made("segmentation")
    description = Network(arch=SMALL).describe(data)
    assert not description.misfit(data)
    assert description.misfit(made("single-label")) == (
        "makes 4 × 32 × 32 of an example, and the task single-label takes 4"
    )
    assert "takes 1 × 64 × 64" in description.misfit(made("image"))
    vectors = Network(arch=SMALL, embedding=9).describe(made("embedding"))
    assert not vectors.misfit(made("embedding")), "identities are told apart by vectors of any length"
    assert vectors.misfit(made("single-label")) == "has 9 classes, and the data 4"


def test_a_network_of_ones_own_has_its_own_head() -> None:
    with pytest.raises(ValidationError, match="`head_channels` is for published networks"):
        Network(arch="./net.py:build", head_channels=8)


@pytest.mark.parametrize(("arch", "weights"), [(LRASPP, "lraspp_mobilenet_v3_large-"), ("timm/mobilenetv2_050", "hf")])
def test_published_weights_that_cannot_be_had_are_named(arch: str, weights: str, monkeypatch: Any) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", offline)
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(UserError, match="could not be had") as error:
        Network(arch=arch, pretrained=True).describe(made("segmentation")).build()
    assert weights in str(error.value)
