"""Boxes of raw outputs: each coding by hand, and SSD and FCOS against torchvision's own forward."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from edgepress.core.errors import UserError
from edgepress.models.decode import Decode, Level
from edgepress.models.decoder import anchors, centres, corners, detections, joined, scores
from edgepress.models.detectors import Torchvision, as_detector
from pydantic import ValidationError
from torchvision.models import detection

SIZE = (32, 64)


def named(**outputs: np.ndarray) -> np.ndarray:
    from edgepress.core.columns import joined as columns

    return columns({name: np.asarray(values, np.float32) for name, values in outputs.items()})


def one(decode: Decode, place: int, numbers: list[float], places: int) -> list[float]:
    """Box of a place whose raw numbers these are."""
    heads = np.zeros((1, places, decode.numbers + 1), np.float32)
    heads[0, place, : decode.numbers] = numbers
    return corners(heads, decode, SIZE)[0, place].round(4).tolist()


def test_centres_are_in_the_middle_of_cells_row_by_row_finest_first() -> None:
    found = centres(Decode(coding="distances", boxes=("b",), strides=(16, 32)), SIZE)
    assert found[:5].tolist() == [[8, 8, 16], [24, 8, 16], [40, 8, 16], [56, 8, 16], [8, 24, 16]]
    assert found[-2:].tolist() == [[16, 16, 32], [48, 16, 32]]


def test_each_coding_is_what_its_paper_has() -> None:
    distances = Decode(coding="distances", boxes=("b",), strides=(16, 32))
    assert one(distances, 1, [0.25, 0.5, 1, 0.75], 10) == [20, 0, 40, 20]
    dfl = Decode(coding="dfl", boxes=("b",), strides=(16, 32), bins=3)
    sure = [20.0, 0, 0], [0, 20.0, 0], [0, 0, 20.0], [0.0, 20, 20]
    assert one(dfl, 1, [each for side in sure for each in side], 10) == pytest.approx([24, 0, 56, 32], abs=1e-3)
    yolox = Decode(coding="yolox", boxes=("b",), strides=(16, 32))
    assert one(yolox, 1, [0.5, 0.5, 0, np.log(0.5)], 10) == pytest.approx([16, 4, 32, 12])
    level = Level(cells=(2, 4), sizes=((10, 20), (6, 6)))
    ssd = Decode(coding="anchors", boxes=("b",), levels=(level,))
    assert one(ssd, 2, [1, -1, 5 * np.log(2), 0], 16) == pytest.approx([15, 0, 35, 16], abs=1e-4)
    assert anchors(ssd, SIZE)[:3].tolist() == [[8, 8, 10, 20], [8, 8, 6, 6], [24, 8, 10, 20]]
    shares = Decode(coding="corners", boxes=("b",), scale="shares")
    assert one(shares, 0, [0.25, 0.5, 0.5, 2], 1) == [16, 16, 32, 32]
    assert one(Decode(coding="centre", boxes=("b",)), 0, [10, 12, 8, 4], 1) == [6, 10, 14, 14]


def test_scores_leave_out_the_background_and_meet_objectness() -> None:
    heads = np.zeros((1, 1, 7), np.float32)
    heads[0, 0, 4:] = 0, np.log(2), np.log(5)
    softmax = Decode(coding="corners", boxes=("b",), scores=("s",), activation="softmax", background=0)
    assert scores(heads, softmax)[0, 0] == pytest.approx([2 / 8, 5 / 8])
    objects = Decode(coding="corners", boxes=("b",), objectness="behind", activation="none")
    heads[0, 0, 4:] = 0.5, 0.4, 0.9
    assert scores(heads, objects)[0, 0] == pytest.approx([0.2, 0.45])
    assert scores(heads, objects.model_copy(update={"root": True}))[0, 0] == pytest.approx([0.2**0.5, 0.45**0.5])


def test_heads_are_found_in_maps_and_in_tables_of_either_order() -> None:
    decode = Decode(coding="distances", boxes=("b3", "b4"), scores=("s3", "s4"), strides=(16, 32))
    random = np.random.default_rng(0)
    maps = {name: random.normal(size=(2, width, 2 // (1 + int(name[1] == "4")), 4 // (1 + int(name[1] == "4"))))
            for name, width in (("b3", 4), ("b4", 4), ("s3", 3), ("s4", 3))}  # fmt: skip
    heads = joined(named(**maps), decode, 3)
    assert heads.shape == (2, 10, 7)
    assert heads[1, 5, :4] == pytest.approx(maps["b3"][1, :, 1, 1].astype(np.float32))
    assert heads[1, 9, 4:] == pytest.approx(maps["s4"][1, :, 0, 1].astype(np.float32))
    tables = {name: values.reshape(2, values.shape[1], -1) for name, values in maps.items()}
    assert np.array_equal(joined(named(**tables), decode, 3), heads)
    single = Decode(coding="centre", boxes=("output0",), activation="none")
    assert joined(heads.transpose(0, 2, 1), single, 3).tolist() == heads.tolist()


def test_outputs_that_are_not_as_described_are_told() -> None:
    decode = Decode(coding="centre", boxes=("b",), scores=("s",))
    with pytest.raises(UserError, match="`decode` names the output `s`, and the file has b"):
        joined(named(b=np.zeros((1, 5, 4)), c=np.zeros((1, 5, 2))), decode, 2)
    with pytest.raises(UserError, match="the output `s` is 5 × 3 for each example, and `decode` takes 2 numbers"):
        joined(named(b=np.zeros((1, 5, 4)), s=np.zeros((1, 5, 3))), decode, 2)
    with pytest.raises(UserError, match="different numbers of places: 5 and 6"):
        joined(named(b=np.zeros((1, 5, 4)), s=np.zeros((1, 6, 2))), decode, 2)
    with pytest.raises(ValidationError, match="`levels` belong together"):
        Decode(coding="anchors", boxes=("b",))
    with pytest.raises(ValidationError, match="`strides` are of"):
        Decode(coding="centre", boxes=("b",), strides=(8,))


def test_detections_are_the_best_first_and_no_number_is_no_box() -> None:
    decode = Decode(coding="corners", boxes=("b",), activation="none", most=3)
    heads = np.zeros((1, 4, 6), np.float32)
    heads[0] = [[0, 0, 9, 9, 0.5, 0], [0, 0, 9, 8, 0.6, 0], [0, 0, 9, 9, 0, 0.3], [np.nan, 0, 9, 9, 0.9, 0.9]]
    found = detections(heads, decode, SIZE)[0]
    assert found[:, 4:] == pytest.approx(np.array([[0.6, 0], [0.3, 1], [0, -1]]))


def test_raw_heads_of_a_yolo_have_the_boxes_of_its_decoded_output() -> None:
    """As YOLOv8's head computes them in its graph, in torch."""
    random, strides, bins = torch.Generator().manual_seed(0), (8, 16), 16
    maps = [(SIZE[0] // stride, SIZE[1] // stride) for stride in strides]
    boxes = [torch.randn(2, 4 * bins, *sides, generator=random) for sides in maps]
    classes = [torch.randn(2, 3, *sides, generator=random) for sides in maps]
    flat = torch.cat([each.flatten(2) for each in boxes], 2)
    points, scale = [], []
    for stride, (high, wide) in zip(strides, maps, strict=True):
        y, x = torch.meshgrid(torch.arange(high) + 0.5, torch.arange(wide) + 0.5, indexing="ij")
        points.append(torch.stack([x, y]).reshape(2, -1) * stride)
        scale.append(torch.full((1, high * wide), float(stride)))
    at, by = torch.cat(points, 1), torch.cat(scale, 1)
    sides = flat.reshape(2, 4, bins, -1).softmax(2).mul(torch.arange(bins)[:, None]).sum(2) * by
    low, high_ = at - sides[:, :2], at + sides[:, 2:]
    scored = torch.cat([each.flatten(2) for each in classes], 2).sigmoid()
    output = torch.cat([(low + high_) / 2, high_ - low, scored], 1).numpy()
    names = [f"{kind}{level}" for kind in ("box", "cls") for level in (3, 4)]
    raw = named(**dict(zip(names, (each.numpy() for each in (*boxes, *classes)), strict=True)))
    dfl = Decode(coding="dfl", boxes=("box3", "box4"), scores=("cls3", "cls4"), strides=strides)
    ready = Decode(coding="centre", boxes=("output0",), activation="none")
    mine = detections(joined(raw, dfl, 3), dfl, SIZE)
    theirs = detections(joined(output, ready, 3), ready, SIZE)
    assert mine == pytest.approx(theirs, abs=1e-3)


@pytest.mark.parametrize("name", ["ssdlite320_mobilenet_v3_large", "fcos_resnet50_fpn"])
@pytest.mark.parametrize("size", [(128, 128), (128, 256)])
def test_boxes_are_those_of_torchvisions_own_forward(name: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    ssd = name.startswith("ssd")
    options: dict[str, Any] = {"weights": None, "weights_backbone": None, "num_classes": 4}
    network: Any = getattr(detection, name)(**options).eval()
    _vary(network, size)
    image = torch.rand(3, *size)
    wanted = _torchvision(network, image, size)
    module: Any = as_detector(Torchvision(network, size).eval(), 3 if ssd else 4, size)
    limits = {"score": network.score_thresh, "iou": network.nms_thresh, "most": network.detections_per_img}
    with torch.no_grad():
        heads = module(image[None]).numpy()
    decode = module.decode.model_copy(update=limits)
    found = detections(heads, decode, size)[0]
    found = found[found[:, 5] >= 0][: len(wanted)]
    assert len(found) > 20
    assert found[:20, 4] == pytest.approx(wanted[:20, 4], abs=1e-4)
    best = wanted[: len(found)]
    near = (np.abs(found[:, :4] - best[:, :4]).max(1) < 0.05) & (found[:, 5] == best[:, 5] - ssd)
    assert near[:20].mean() >= 0.9, "equal scores may change places"


def _vary(network: Any, size: tuple[int, int]) -> None:
    """Give a fresh network statistics and heads of which the scores differ."""
    with torch.no_grad():
        for label, parameter in network.head.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 2 / parameter[0].numel() ** 0.5)
            elif label.endswith("bias"):
                parameter.zero_()
        for layer in network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = 1.0
        network.head(list(network.backbone.train()(torch.rand(4, 3, *size)).values()))
    network.eval()


def _torchvision(network: Any, image: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    """Boxes, score and label of a torchvision detector that neither resizes nor normalizes."""
    transform = network.transform
    transform.image_mean, transform.image_std, transform.fixed_size = [0.0] * 3, [1.0] * 3, size[::-1]
    transform.min_size, transform.max_size, transform.size_divisible = (min(size),), max(size), 1
    with torch.no_grad():
        (found,) = network([image])
    columns = [found["boxes"], found["scores"][:, None], found["labels"][:, None].float()]
    return torch.cat(columns, 1).numpy()


def test_numbers_along_the_last_side_are_found_where_the_map_is_square() -> None:
    """Of four numbers a place, 8 rows could be two anchors' numbers: a map of 8 by 8 tells."""
    decode = Decode(coding="distances", boxes=("b",), scores=("s",), strides=(4,))
    boxes = np.arange(256, dtype=np.float32).reshape(1, 4, 8, 8)
    marks = np.zeros((1, 64, 2), np.float32)
    usual = joined({"b": boxes, "s": marks}, decode, 2)
    last = joined({"b": np.moveaxis(boxes, 1, 3), "s": marks}, decode, 2)
    np.testing.assert_array_equal(usual, last)
