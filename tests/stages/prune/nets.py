"""Networks that torch-pruning follows in part, or not at all."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Net(nn.Module):
    """Two convolutions and a head; `kind` is what lies between."""

    def __init__(self, kind: str, channels: int = 1, classes: int = 10) -> None:
        super().__init__()
        self.kind = kind
        self.a = nn.Conv2d(channels, 64 if kind == "shuffle" else 32, 3, padding=1)
        self.b = nn.Conv2d(16 if kind in ("shuffle", "glu") else 32, 32, 3, padding=1)
        if kind == "mask":
            self.m = nn.Conv2d(channels, 1, 3, padding=1)
        if kind == "decoder":
            self.wide, self.up = nn.Linear(32, 256), nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1)
        if kind == "group":
            self.n, self.g = nn.GroupNorm(4, 32), nn.Conv2d(32, 32, 3, padding=1, groups=4)
        if kind == "depthwise":
            self.n, self.g = nn.BatchNorm2d(32), nn.Conv2d(32, 32, 3, padding=1, groups=32)
        if kind == "recurrent":
            self.r = nn.GRU(32, 32, batch_first=True)
        if kind == "frozen":
            self.n = nn.BatchNorm2d(32).requires_grad_(False)
        self.h = nn.Conv2d(32, classes, 1) if kind == "conv_head" else nn.Linear(32, classes)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.a(x))
        if self.kind == "decoder":
            y = torch.relu(self.up(torch.relu(self.wide(y.mean((2, 3)))).view(-1, 64, 2, 2)))
        elif self.kind == "recurrent":
            y = self.r(y.flatten(2).transpose(1, 2))[0].transpose(1, 2)[..., None]
        else:
            y = self.between(x, y)
            for _ in range(3 if self.kind == "shared" else 1):
                y = torch.relu(self.b(y))
        return self.h(y).mean((2, 3)) if self.kind == "conv_head" else self.h(y.mean((2, 3)))

    def between(self, x: Tensor, y: Tensor) -> Tensor:
        match self.kind:
            case "shuffle":
                return functional.pixel_shuffle(y, 2)
            case "mask":
                return torch.sigmoid(self.m(x)) * y
            case "group":
                return self.g(self.n(y))
            case "depthwise":
                return self.g(torch.sigmoid(self.n(y)))
            case "frozen":
                return self.n(y)
            case "glu":
                return functional.glu(y, 1)
            case "softmax":
                return y.softmax(1)
            case "control":
                return y if float(y.mean()) > 0.1 else 2 * y
            case "channels":
                return y.view(len(y), 2, 16, *y.shape[2:]).transpose(1, 2).flatten(1, 2)
        return y


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.h = nn.Linear(5, 32), nn.Linear(3, 32), nn.Linear(64, 2)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        out: Tensor = self.h(torch.cat([torch.relu(self.a(x)), torch.tanh(self.b(y))], 1))
        return out
