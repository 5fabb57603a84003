"""Compute losses of detectors from their heads, as `decode` describes these: torchvision's of SSD and of FCOS."""

from __future__ import annotations

from functools import cache, partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, _utils
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.ssd import SSD
from torchvision.ops import box_iou

from ..core.errors import UserError
from ..data.targets.boxes import CLASS, COUNTS
from .decode import Decode
from .decoder import anchors, centres

if TYPE_CHECKING:
    Target = dict[str, Tensor]

NEGATIVES = 3.0
"""Anchors without an object for each with one, the worst of them, in the loss of SSD (Liu et al., 2016)."""
RADIUS = 1.5
"""Strides from the middle of a box within which a point learns it, of FCOS."""


def loss(module: Any, outputs: Tensor, y: Tensor) -> Tensor:
    """Return the loss of joined heads (b, places, columns) against boxes (b, most, 6).

    Raises: UserError for a detector whose coding has no loss here, and that brings none.
    """
    detector = module.edgepress
    heads, targets = apart(outputs, detector.decode, detector.classes), listed(y)
    if callable(getattr(module, "loss", None)):
        value: Tensor = module.loss(heads, targets)
        return value
    return of_coding(detector.decode, heads, targets, detector.size)


def of_coding(decode: Decode, heads: tuple[Tensor, ...], targets: list[Target], size: tuple[int, int]) -> Tensor:
    if decode.coding == "anchors" and decode.activation == "softmax" and decode.background == 0:
        return _ssd(decode, heads, targets, size)
    if decode.coding == "distances" and len(heads) == 3:
        return _fcos(decode, heads, targets, size)
    raise UserError(
        f"there is no loss for `coding: {decode.coding}` of such heads",
        "give your network `loss(heads, targets)`; SSD and FCOS need none, and neither does `quantize.aware` with "
        "`kd_weight: 1`",
    )


def apart(outputs: Tensor, decode: Decode, classes: int) -> tuple[Tensor, ...]:
    """Return the heads of a joined tensor (b, places, columns): boxes, objectness where there is one, and scores."""
    scores = classes + (decode.background is not None)
    widths = [decode.numbers, *([1] if decode.objectness else []), scores]
    return tuple(outputs.split(widths, 2))


def listed(y: Tensor) -> list[Target]:
    """Return the boxes that count of each picture, as torchvision takes them: `boxes` (k, 4), `labels` (k,) from 0."""
    there = (y[..., CLASS] >= 0) & (y[..., COUNTS] > 0)
    return [{"boxes": rows[mine, :4], "labels": rows[mine, CLASS].long()} for rows, mine in zip(y, there, strict=True)]


def _ssd(decode: Decode, heads: tuple[Tensor, ...], targets: list[Target], size: tuple[int, int]) -> Tensor:
    boxes, scores = heads
    own = _anchors(decode, size).to(boxes.device)
    match = _utils.SSDMatcher(0.5)
    counted = [each | {"labels": each["labels"] + 1} for each in targets]  # 0 is the background
    matched = [
        match(box_iou(each["boxes"], own)) if len(each["boxes"]) else own.new_full((len(own),), -1, dtype=torch.int64)
        for each in counted
    ]
    parts = {"bbox_regression": boxes.float(), "cls_logits": scores.float()}
    coder = _utils.BoxCoder(weights=decode.weights)
    losses = SSD.compute_loss(
        SimpleNamespace(box_coder=coder, neg_to_pos_ratio=NEGATIVES), counted, parts, [own] * len(targets), matched
    )
    return torch.stack([*losses.values()]).sum()


def _fcos(decode: Decode, heads: tuple[Tensor, ...], targets: list[Target], size: tuple[int, int]) -> Tensor:
    boxes, objectness, scores = heads
    own, counts = _points(decode, size)
    own = own.to(boxes.device)
    parts = {"bbox_regression": boxes.float(), "bbox_ctrness": objectness.float(), "cls_logits": scores.float()}
    coder = SimpleNamespace(box_coder=_utils.BoxLinearCoder(normalize_by_size=True))
    head = SimpleNamespace(compute_loss=partial(FCOSHead.compute_loss, coder))
    losses = FCOS.compute_loss(
        SimpleNamespace(center_sampling_radius=RADIUS, head=head), targets, parts, [own] * len(targets), counts
    )
    return torch.stack([*losses.values()]).sum()


@cache
def _anchors(decode: Decode, size: tuple[int, int]) -> Tensor:
    """Return anchors as corners (places, 4)."""
    middle, sides = torch.from_numpy(anchors(decode, size)).split(2, 1)
    return torch.cat([middle - sides / 2, middle + sides / 2], 1)


@cache
def _points(decode: Decode, size: tuple[int, int]) -> tuple[Tensor, list[int]]:
    """Return boxes (places, 4) of one stride around each centre point, and how many points each map has."""
    points, stride = torch.from_numpy(centres(decode, size)).split([2, 1], 1)
    counts = [-(-size[0] // each) * -(-size[1] // each) for each in decode.strides]
    return torch.cat([points - stride / 2, points + stride / 2], 1), counts


def kd(
    student: Tensor, teacher: Tensor, decode: Decode, classes: int, temperature: float, least: float = 0.1
) -> Tensor:
    """Return the distance of joined heads from a teacher's on the same places.

    Of the scores it is KL divergence (softmax) or binary cross-entropy above its least (sigmoid), softened, weighed by
    how sure the teacher is that there is something: background is most of a picture. Boxes are compared where it is
    surer than `least`, by the smooth L1 distance of their numbers.
    """
    s, t = (apart(each.float(), decode, classes) for each in (student, teacher))
    sure, scores = _sureness(t, decode), _of_scores(s[-1], t[-1], decode, temperature)
    weight = sure + 1 / sure.shape[1]
    value = (scores * weight).sum() / weight.sum()
    wanted = sure * (sure >= least)
    apart_by = nn.functional.smooth_l1_loss(s[0], t[0], reduction="none").mean(2)
    value = value + (apart_by * wanted).sum() / wanted.sum().clamp(min=1)
    if decode.objectness:
        value = value + nn.functional.binary_cross_entropy_with_logits(s[1], t[1].sigmoid(), weight=weight[..., None])
    return value


def _sureness(heads: tuple[Tensor, ...], decode: Decode) -> Tensor:
    """Return the teacher's highest score of each place (b, places)."""
    scores = heads[-1]
    if decode.activation == "softmax":
        values = scores.softmax(2)
        kept = [at for at in range(scores.shape[2]) if at != decode.background]
        return values[..., kept].amax(2)
    found = scores.sigmoid().amax(2) if decode.activation == "sigmoid" else scores.amax(2)
    return (found * heads[1].sigmoid()[..., 0]).sqrt() if decode.objectness else found


def _of_scores(student: Tensor, teacher: Tensor, decode: Decode, temperature: float) -> Tensor:
    """Return (b, places)."""
    functional = nn.functional
    if decode.activation == "softmax":
        q, p = (functional.log_softmax(z / temperature, 2) for z in (student, teacher))
        return temperature**2 * functional.kl_div(q, p, reduction="none", log_target=True).sum(2)
    target = (teacher / temperature).sigmoid()
    both = functional.binary_cross_entropy_with_logits(student / temperature, target, reduction="none")
    own = functional.binary_cross_entropy_with_logits(teacher / temperature, target, reduction="none")
    return temperature**2 * (both - own).sum(2)
