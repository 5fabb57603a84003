"""Small torch networks for signals, texts, recommendations and sequences."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable

import onnx
import onnxsim
import torch
from torch import nn
from torch.nn import functional

IDS = 30


class Signal(nn.Module):
    """Odd channels and lengths, depthwise, strides, pools with pads, and the adaptive pool of torch."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(3, 7, 5, padding=2, bias=False), nn.BatchNorm1d(7), nn.ReLU(), nn.MaxPool1d(2),
            nn.Conv1d(7, 7, 3, padding=1, groups=7, bias=False), nn.BatchNorm1d(7), nn.ReLU6(),
            nn.Conv1d(7, 13, 1), nn.ReLU(), nn.MaxPool1d(3, 2, 1), nn.Conv1d(13, 13, 3, stride=2, padding=1),
            nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(13, 5),
        )  # fmt: skip
        for layer in self.body:
            if isinstance(layer, nn.BatchNorm1d):
                layer.running_mean.normal_(0, 0.3)
                layer.running_var.uniform_(0.5, 1.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.body(x)
        return logits


class DilatedSignal(nn.Module):
    """A residual with GELU, read by a mean and, flattened, by a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(3, 7, 5, padding=2), nn.Conv1d(7, 7, 3, padding=2, dilation=2)
        self.mean, self.flat = nn.Linear(7, 5), nn.Linear(7 * 31, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.first(x))
        x = x + functional.gelu(self.second(x))
        logits: torch.Tensor = self.mean(x.mean(-1)) + self.flat(x.flatten(1))
        return logits


class Text(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.table = kind, nn.Embedding(IDS, 9)
        self.conv, self.head = (
            nn.Conv1d(9, 9, 3, padding=1),
            nn.Sequential(nn.Linear(9, 11), nn.ReLU(), nn.Linear(11, 4)),
        )

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.table(tokens)
        if self.kind == "masked":
            mask = (tokens != 0).float().unsqueeze(-1)
            x = (x * mask).sum(1) / mask.sum(1).clamp(min=1)
        elif self.kind == "conv":
            x = functional.relu(self.conv(x.transpose(1, 2))).amax(-1)
        else:
            x = x.mean(1)
        logits: torch.Tensor = self.head(x)
        return logits


class Recommender(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(IDS, 7), nn.Embedding(IDS + 10, 7)
        self.head = nn.Sequential(nn.Linear(21, 11), nn.ReLU(), nn.Linear(11, 1))

    def forward(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        u, i = self.users(user).reshape(1, -1), self.items(item).reshape(1, -1)
        score: torch.Tensor = self.head(torch.cat([u, i, u * i], -1)) + (u - i).abs().sum(-1, keepdim=True)
        return score


class Attention(nn.Module):
    """One block; heads by unbind (slices) or by chunk (splits), read by a mean or at the first step."""

    def __init__(self, approximate: str = "none", split: bool = False) -> None:
        super().__init__()
        self.split, self.heads = split, 3
        self.norms = nn.ModuleList([nn.LayerNorm(12), nn.LayerNorm(12)])
        self.qkv, self.out = nn.Linear(12, 36), nn.Linear(12, 12)
        self.mlp = nn.Sequential(nn.Linear(12, 24), nn.GELU(approximate), nn.Linear(24, 12))
        self.head = nn.Linear(12, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        length = x.shape[1]
        found = self.qkv(self.norms[0](x))
        if self.split:
            q, k, v = (each.view(1, length, self.heads, 4).transpose(1, 2) for each in found.chunk(3, -1))
            read = functional.scaled_dot_product_attention(q, k, v)
        else:
            q, k, v = found.reshape(1, length, 3, self.heads, 4).permute(2, 0, 3, 1, 4).unbind(0)
            read = (q @ k.transpose(-2, -1) * 0.5).softmax(-1) @ v
        x = x + self.out(read.transpose(1, 2).reshape(1, length, 12))
        x = x + self.mlp(self.norms[1](x))
        logits: torch.Tensor = self.head(x[:, 0] if self.split else x.mean(1))
        return logits


class Encoder(nn.Module):
    """torch's own encoder layer, on tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.places = nn.Embedding(IDS, 12), nn.Parameter(torch.randn(1, 9, 12))
        self.layer = nn.TransformerEncoderLayer(12, 3, 20, batch_first=True, dropout=0.0, activation="gelu")
        self.head = nn.Linear(12, 5)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.layer(self.table(tokens) + self.places).mean(1))
        return logits


class Patches(nn.Module):
    """An image cut into patches, and a class token before them."""

    def __init__(self) -> None:
        super().__init__()
        self.cut, self.block = nn.Conv2d(3, 12, 4, 4), Attention(split=True)
        self.token = nn.Parameter(torch.randn(1, 1, 12))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.block(torch.cat([self.token, self.cut(x).flatten(2).transpose(1, 2)], 1))
        return logits


def ids(*shape: int) -> torch.Tensor:
    return torch.randint(0, IDS, shape)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[torch.Tensor, ...], int]] = {
    "signal": (Signal, (torch.zeros(1, 3, 51),), 18),
    "signal, dilated": (DilatedSignal, (torch.zeros(1, 3, 31),), 18),
    "text, mean": (lambda: Text("mean"), (ids(1, 9),), 18),
    "text, masked": (lambda: Text("masked"), (ids(1, 9),), 18),
    "text, masked, int32": (lambda: Text("masked"), (ids(1, 9).int(),), 18),
    "text, conv": (lambda: Text("conv"), (ids(1, 9),), 18),
    "recommender": (Recommender, (ids(1), ids(1)), 18),
    "recommender, matrices": (Recommender, (ids(1, 1), ids(1, 1)), 18),
    "attention": (Attention, (torch.zeros(1, 7, 12),), 18),
    "attention, tanh": (lambda: Attention("tanh"), (torch.zeros(1, 7, 12),), 18),
    "attention, tanh, operator set 20": (lambda: Attention("tanh"), (torch.zeros(1, 7, 12),), 20),
    "attention, split, operator set 20": (lambda: Attention(split=True), (torch.zeros(1, 7, 12),), 20),
    "encoder": (Encoder, (ids(1, 9),), 18),
    "patches": (Patches, (torch.zeros(1, 3, 16, 16),), 18),
}


def exported(make: Callable[[], nn.Module], examples: tuple[torch.Tensor, ...], opset: int) -> onnx.ModelProto:
    """The simplified ONNX graph of a network, as torch exports it."""
    torch.manual_seed(0)
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            make().eval(), examples, dynamo=True, opset_version=opset, output_names=["output"], verbose=False
        )
    assert program is not None
    simplified: onnx.ModelProto = onnxsim.simplify(program.model_proto)[0]
    return simplified
