"""Networks that find boxes: on backbones of timm, of torchvision, and a user's own."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from edgepress.core.errors import OwnCodeError, UserError
from edgepress.core.user_code import Code
from edgepress.models import detection_losses, zoo
from edgepress.models.checkpoint import load, save
from edgepress.models.decode import Decode
from edgepress.models.decoder import anchors, centres
from edgepress.models.description import Description, Network
from torch import Tensor
from torchvision.models import detection
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

SIZE = (64, 96)
BACKBONE = "timm/tf_mobilenetv3_small_minimal_100"
Y = torch.tensor([[[8.0, 8, 40, 40, 0, 1], [50, 10, 80, 60, 2, 1], [0, 0, 20, 20, 1, 0], [0, 0, 0, 0, -1, 0]],
                  [[0, 0, 0, 0, -1, 0]] * 4])  # fmt: skip
"""Two boxes that count and one that does not, and a picture without boxes."""


def described(arch: str, size: tuple[int, int] = SIZE, **more: Any) -> Description:
    return Description(network=Network(arch=arch, **more), channels=3, classes=3, size=size, task="detection")


@pytest.mark.parametrize(("arch", "more"), [(BACKBONE, {}), (BACKBONE, {"head": "fcos", "head_channels": 32}),
                                            ("torchvision/detection/ssdlite320_mobilenet_v3_large", {})])  # fmt: skip
def test_a_detector_learns_boxes_and_is_rebuilt_from_its_file(arch: str, more: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    module: Any = described(arch, **more).build().train()
    decode: Decode = module.decode
    outputs = module(torch.rand(2, 3, *SIZE))
    places = len(anchors(decode, SIZE) if decode.levels else centres(decode, SIZE))
    assert outputs.shape == (2, places, decode.columns(3))
    value = detection_losses.loss(module, outputs, Y)
    value.backward()
    assert value.isfinite()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in module.parameters())
    save(module, described(arch, **more), tmp_path / "model.safetensors")
    again, description = load(tmp_path / "model.safetensors")
    x = torch.rand(1, 3, *SIZE)
    with torch.no_grad():
        assert torch.equal(again(x), module.eval()(x))
    assert description.misfit(SimpleNamespace(task="detection", labels=("a", "b", "c"), input=None)) == ""  # type: ignore[arg-type]
    assert "finds 3 classes, and the data has 2" in description.misfit(
        SimpleNamespace(task="detection", labels=("a", "b"), input=None)  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("more", [{}, {"head": "fcos", "head_channels": 16}])
def test_evaluation_has_the_moments_of_training(more: dict[str, Any]) -> None:
    """Of a norm that several maps share, too."""
    torch.manual_seed(0)
    module: Any = described(BACKBONE, **more).build()
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    x = torch.rand(16, 3, *SIZE)
    with torch.no_grad():
        learning, learnt = module.train()(x), module.eval()(x)
    assert float((learning - learnt).abs().mean()) < 0.02 * float(learning.std())


def test_a_copy_of_a_detector_runs_its_own_weights() -> None:
    module: Any = described(BACKBONE).build().eval()
    copied = copy.deepcopy(module)
    x = torch.rand(1, 3, *SIZE)
    with torch.no_grad():
        before = module(x)
        for parameter in copied.parameters():
            parameter.zero_()
        assert torch.equal(module(x), before)
        assert not torch.equal(copied(x), before)


def test_a_step_of_training_lowers_the_loss_and_finds_the_boxes() -> None:
    for head in ("ssdlite", "fcos"):
        torch.manual_seed(0)
        module: Any = described(BACKBONE, head=head).build().train()
        random = np.random.default_rng(0)
        x, y = torch.rand(8, 3, *SIZE) * 0.2, torch.zeros(8, 1, 6)
        for picture, box in zip(x, y, strict=True):
            left, top = random.integers(0, 48), random.integers(0, 24)
            picture[:, top : top + 36, left : left + 40] += 0.8
            box[0] = torch.tensor([left, top, left + 40, top + 36, 1, 1])
        optimizer = torch.optim.AdamW(module.parameters(), 3e-3)
        losses = []
        for _ in range(25):
            value = detection_losses.loss(module, module(x), y)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            losses.append(float(value.detach()))
        assert losses[-1] < 0.7 * losses[0], (head, losses)


def test_the_loss_of_ssd_is_torchvisions() -> None:
    torch.manual_seed(0)
    network: Any = detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=4)
    module: Any = zoo.create(Network(arch="torchvision/detection/ssdlite320_mobilenet_v3_large"),
                             described("torchvision/detection/ssdlite320_mobilenet_v3_large"))  # fmt: skip
    network.backbone, network.head = module.backbone, module.head
    x = torch.rand(2, 3, *SIZE)
    maps = list(network.backbone(x).values())
    own = network.anchor_generator(ImageList(x, [SIZE] * 2), maps)
    targets = [
        {"boxes": Y[0, :2, :4], "labels": torch.tensor([1, 3])},
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0).long()},
    ]
    match = network.proposal_matcher(box_iou(targets[0]["boxes"], own[0]))
    wanted = network.compute_loss(targets, network.head(maps), own, [match, torch.full_like(match, -1)])
    assert detection_losses.loss(module, module(x), Y).item() == pytest.approx(sum(wanted.values()).item(), rel=1e-4)


@pytest.mark.parametrize("head", ["ssdlite", "fcos"])
def test_the_distance_of_heads_is_least_for_the_same_and_counts_where_the_teacher_is_sure(head: str) -> None:
    torch.manual_seed(0)
    module: Any = described(BACKBONE, head=head).build().eval()
    with torch.no_grad():
        teacher = module(torch.rand(2, 3, *SIZE))
    at = module.decode.numbers + bool(module.decode.objectness)
    teacher[0, 5, at:] = -2
    teacher[0, 5, -1] = 3  # sure of the last class at one place
    if module.decode.objectness:
        teacher[0, 5, at - 1] = 3

    def away(place: int, column: int) -> Tensor:
        student = teacher.clone()
        student[0, place, column] += 1
        return detection_losses.kd(student, teacher, module.decode, 3, 1.0)

    same = detection_losses.kd(teacher, teacher, module.decode, 3, 1.0)
    assert away(5, 0) > away(6, 0) >= same
    assert away(5, at) > same
    assert away(5, -1) > same or head == "fcos"


OWN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes, width):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, width, 3, 4, 1), nn.ReLU(), nn.Conv2d(width, width, 3, 2, 1))
        self.box, self.score = nn.Conv2d(width, 4, 1), nn.Conv2d(width, classes, 1)
        self.decode = {"coding": "distances", "boxes": ["boxes"], "scores": ["scores"], "strides": [STRIDE]}

    def heads(self, images):
        x = self.layers(images)
        return tuple(y.flatten(2).transpose(1, 2) for y in (self.box(x), self.score(x)))

    def loss(self, heads, targets):
        boxes, scores = heads
        assert [len(each["boxes"]) for each in targets] == [len(each["labels"]) for each in targets]
        return boxes.square().mean() + scores.square().mean()

def build(num_classes, width=8):
    return Net(num_classes, width)

def more(num_classes):
    return Net(num_classes + 1, 8)

def bare(num_classes):
    return nn.Conv2d(3, 3, 1)
"""


def own(folder: Path, name: str = "build", stride: int = 8) -> Any:
    (folder / "mine.py").write_text(OWN.replace("STRIDE", str(stride)))
    arch = f"./mine.py:{name}"
    return described(arch).build(Code.read([arch], folder))


def test_a_users_detector_has_heads_decode_and_a_loss(tmp_path: Path) -> None:
    module = own(tmp_path)
    outputs = module(torch.rand(2, 3, *SIZE))
    assert outputs.shape == (2, 96, 7)
    assert detection_losses.loss(module, outputs, Y).item() == pytest.approx(
        (outputs[..., :4].square().mean() + outputs[..., 4:].square().mean()).item()
    )
    assert module.edgepress.predictions(outputs.detach().numpy()).shape == (2, 100, 6)
    assert set(module.state_dict()) >= {"box.weight", "score.bias"}, "its names stay"


def test_a_detector_that_is_not_as_described_is_told(tmp_path: Path) -> None:
    with pytest.raises(OwnCodeError, match="have 96 places, and the `decode` of them 24"):
        own(tmp_path, stride=16)
    with pytest.raises(OwnCodeError, match="have 8 numbers for each place, and `decode` with 3 classes takes 7"):
        own(tmp_path, "more")
    with pytest.raises(OwnCodeError, match="Conv2d lacks `heads`"):
        own(tmp_path, "bare")


def test_a_coding_without_a_loss_is_told() -> None:
    decode = Decode(coding="yolox", boxes=("b",), objectness="behind", strides=(8,))
    with pytest.raises(UserError, match="there is no loss for `coding: yolox`"):
        detection_losses.of_coding(decode, (torch.zeros(1, 1, 4),) * 3, [], SIZE)


def test_an_unknown_detector_of_torchvision_is_told() -> None:
    with pytest.raises(UserError, match="is no SSD or FCOS"):
        described("torchvision/detection/maskrcnn_resnet50_fpn").build()
