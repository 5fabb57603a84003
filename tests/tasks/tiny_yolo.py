"""A YOLO small enough to be trained in a test, and scenes of circles and squares.

Its parts are YOLOv8's: SiLU, C2f, SPPF, a neck of upsampling and concatenation, and three heads of boxes by DFL. It
gives one output of decoded boxes and probabilities, or with `raw` the six heads apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

STRIDES = (8, 16, 32)
BINS = 16


def scenes(count: int, size: int, seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return pictures, uint8 (count, 3, size, size), and boxes (k, 5) of each: x0, y0, x1, y1, class."""
    random = np.random.default_rng(seed)
    pictures, boxes = zip(*(_scene(random, size) for _ in range(count)), strict=True)
    return np.stack(pictures), list(boxes)


def _scene(random: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    across, down = np.meshgrid(np.arange(size), np.arange(size))
    picture = random.integers(0, 90, (1, 1, 3)) + random.normal(0, 12, (size, size, 3))
    boxes = []
    for _ in range(random.integers(1, 4)):
        radius = int(random.integers(size // 10, size // 5))
        x, y = random.integers(radius, size - radius, 2)
        square = int(random.integers(0, 2))
        apart = np.abs(across - x), np.abs(down - y)
        inside = np.maximum(*apart) <= radius if square else np.hypot(*apart) <= radius
        picture[inside] = random.integers(120, 255, 3) + random.normal(0, 12, (int(inside.sum()), 3))
        boxes.append((x - radius, y - radius, x + radius, y + radius, square))
    return picture.clip(0, 255).astype(np.uint8).transpose(2, 0, 1), np.array(boxes, np.float32)


def conv(before: int, after: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(after), nn.SiLU())


class C2f(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        half = after // 2
        self.first, self.last = conv(before, after, 1), conv(after + half, after, 1)
        self.inner = nn.Sequential(conv(half, half), conv(half, half))

    def forward(self, x: Tensor) -> Tensor:
        one, other = self.first(x).chunk(2, 1)
        joined: Tensor = self.last(torch.cat([one, other, other + self.inner(other)], 1))
        return joined


class SPPF(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.last = conv(channels, channels // 2, 1), conv(channels * 2, channels, 1)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        found = [self.first(x)]
        for _ in range(3):
            found.append(self.pool(found[-1]))
        joined: Tensor = self.last(torch.cat(found, 1))
        return joined


class TinyYolo(nn.Module):
    """Two or more classes on square pictures of `size` pixels, a multiple of 32; `width` is that of the first layer."""

    def __init__(self, classes: int = 2, size: int = 96, width: int = 8, *, raw: bool = False) -> None:
        super().__init__()
        self.raw = raw
        c1, c2, c3, c4 = width, width * 2, width * 4, width * 8
        self.stem = nn.Sequential(conv(3, c1, 3, 2), conv(c1, c2, 3, 2), C2f(c2, c2))
        self.down = nn.ModuleList(
            [
                nn.Sequential(conv(c2, c3, 3, 2), C2f(c3, c3)),
                nn.Sequential(conv(c3, c4, 3, 2), C2f(c4, c4)),
                nn.Sequential(conv(c4, c4, 3, 2), C2f(c4, c4), SPPF(c4)),
            ]
        )
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.up4, self.up3 = C2f(c4 + c4, c4), C2f(c3 + c4, c3)
        self.to4, self.down4 = conv(c3, c3, 3, 2), C2f(c3 + c4, c4)
        self.to5, self.down5 = conv(c4, c4, 3, 2), C2f(c4 + c4, c4)
        self.box = nn.ModuleList(nn.Sequential(conv(k, 32), nn.Conv2d(32, 4 * BINS, 1)) for k in (c3, c4, c4))
        self.cls = nn.ModuleList(nn.Sequential(conv(k, 32), nn.Conv2d(32, classes, 1)) for k in (c3, c4, c4))
        for bias in (head[-1].bias for head in self.cls):
            nn.init.constant_(bias, -4.6)  # 1% for each class: nearly all places have no object
        points, strides = [], []
        for stride in STRIDES:
            middle = (torch.arange(size // stride) + 0.5) * stride
            y, x = torch.meshgrid(middle, middle, indexing="ij")
            points.append(torch.stack([x, y]).reshape(2, -1))
            strides.append(torch.full((1, x.numel()), float(stride)))
        self.points: Tensor
        self.strides: Tensor
        self.bins: Tensor
        self.register_buffer("points", torch.cat(points, 1))
        self.register_buffer("strides", torch.cat(strides, 1))
        self.register_buffer("bins", torch.arange(BINS, dtype=torch.float).reshape(1, BINS, 1, 1))

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        x3 = self.down[0](self.stem(x))
        x4 = self.down[1](x3)
        x5 = self.down[2](x4)
        t4 = self.up4(torch.cat([self.up(x5), x4], 1))
        t3 = self.up3(torch.cat([self.up(t4), x3], 1))
        n4 = self.down4(torch.cat([self.to4(t3), t4], 1))
        n5 = self.down5(torch.cat([self.to5(n4), x5], 1))
        box = [head(level) for head, level in zip(self.box, (t3, n4, n5), strict=True)]
        cls = [head(level) for head, level in zip(self.cls, (t3, n4, n5), strict=True)]
        if self.raw:
            return (*box, *cls)
        sides, scores = (torch.cat([level.flatten(2) for level in levels], 2) for levels in (box, cls))
        sides = sides.reshape(len(x), 4, BINS, -1).transpose(1, 2).softmax(1)
        sides = (sides * self.bins).sum(1) * self.strides
        low, high = self.points - sides[:, :2], self.points + sides[:, 2:]
        return torch.cat([(low + high) / 2, high - low, scores.sigmoid()], 1)


def loss(net: TinyYolo, outputs: Tensor, boxes: Sequence[np.ndarray]) -> Tensor:
    """Return 1 − IoU of the places in the middle of a box, and the cross-entropy of all scores with that IoU."""
    total, count = outputs.new_zeros(()), 0
    for output, each in zip(outputs, boxes, strict=True):
        goal = torch.zeros_like(output[4:])
        found = torch.cat([output[:2] - output[2:4] / 2, output[:2] + output[2:4] / 2])
        for *corners, kind in each.tolist():
            low, high = (torch.tensor(corner)[:, None] for corner in (corners[:2], corners[2:]))
            side = high - low
            near = ((net.points - (low + high) / 2).abs() < side / 4 + 4).all(0) & (net.strides[0] * 14 > side[0])
            if not near.any():
                continue
            mine = found[:, near]
            shared = (torch.minimum(mine[2:], high) - torch.maximum(mine[:2], low)).clamp(min=0).prod(0)
            iou = shared / ((mine[2:] - mine[:2]).prod(0) + side.prod() - shared + 1e-6)
            total, count = total + (1 - iou).sum(), count + int(near.sum())
            goal[int(kind), near] = iou.detach().clamp(min=0.3)
        total = total + nn.functional.binary_cross_entropy(output[4:].clamp(1e-6, 1 - 1e-6), goal, reduction="sum")
    return total / max(count, 1)


def trained(size: int = 96, steps: int = 360, batch: int = 20) -> TinyYolo:
    """Train one on 240 scenes."""
    torch.manual_seed(0)
    net = TinyYolo(size=size)
    x, boxes = scenes(240, size, 0)
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps)
    random = np.random.default_rng(0)
    for _ in range(steps):
        rows = random.choice(len(x), batch, replace=False)
        value = loss(net, net(torch.from_numpy(x[rows]).float() / 255), [boxes[row] for row in rows])
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10)
        optimizer.step()
        schedule.step()
    return net


def exported(net: TinyYolo, path: Path, *, raw: bool, size: int = 96) -> None:
    """Write the network with one output of boxes, or with six raw heads."""
    net.raw = raw
    heads = [f"{kind}{level}" for kind in ("box", "cls") for level in (3, 4, 5)]
    torch.onnx.export(
        net.eval(), (torch.zeros(1, 3, size, size),), path, input_names=["images"],
        output_names=heads if raw else ["output0"], dynamo=True, external_data=False, verbose=False,
    )  # fmt: skip
