"""Networks for signals, texts, recommendations and sequences, as torch exports them: float and int8 answers."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable

import numpy as np
import onnx
import onnxsim
import pytest
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional

from pipeline.tflite import layouts, write
from tests.tflite import models

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


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> onnx.ModelProto:
    make, examples, opset = NETWORKS[request.param]
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


@pytest.fixture(scope="module")
def qdq(network: onnx.ModelProto) -> onnx.ModelProto:
    return models.quantized(network, models.feeds(network, 30, seed=5))


@pytest.mark.parametrize("runtime", models.RUNTIMES)
def test_float_answers(network: onnx.ModelProto, runtime: str) -> None:
    feeds = models.feeds(network, 20)
    expected = models.answers(network, feeds)
    found = models.answers_of_file(write(network, {}), layouts(network), feeds, runtime)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("runtime", models.RUNTIMES)
def test_int8_answers(qdq: onnx.ModelProto, runtime: str) -> None:
    """Against the graph as it is written: onnxruntime's optimizer drops pairs of Q and DQ, which moves up to 4% of an
    encoder's answers by more than a step."""
    feeds = models.feeds(qdq, 120)
    expected = models.answers(qdq, feeds, as_written=True)
    found = models.answers_of_file(write(qdq, {}), layouts(qdq), feeds, runtime)
    off = np.rint(np.abs(found - expected) / _step(qdq, expected))
    if runtime == "tflite_runtime":  # Its fixed-point kernels round twice.
        assert (off <= 1).mean() >= 0.98
        assert off.mean() < 0.3
    else:
        assert (off <= 1).mean() >= 0.99
        assert (off == 0).mean() >= 0.97


def _step(model: onnx.ModelProto, answers: np.ndarray) -> float:
    """One step of the output, or where it is float a 255th of the range."""
    maker = next(node for node in model.graph.node if "output" in node.output)
    if maker.op_type != "DequantizeLinear":
        return float(np.ptp(answers)) / 255
    scale = next(each for each in model.graph.initializer if each.name == maker.input[1])
    return float(numpy_helper.to_array(scale))


def test_the_files_face(network: onnx.ModelProto) -> None:
    """Names and order of the graph's inputs, int32 for ids, channels last for what slides over pixels or samples."""
    details = models.open_file(write(network, {})).get_input_details()
    orders = layouts(network)
    assert [each["name"] for each in details] == [value.name for value in network.graph.input] == list(orders)
    for value, each in zip(network.graph.input, details, strict=True):
        shape = [size.dim_value for size in value.type.tensor_type.shape.dim]
        wanted = shape if orders[value.name] == "same" else [shape[0], *shape[2:], shape[1]]
        assert each["shape"].tolist() == wanted
        is_float = value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        assert each["dtype"] is (np.float32 if is_float else np.int32)


def test_layouts(request: pytest.FixtureRequest, network: onnx.ModelProto) -> None:
    name = request.node.callspec.params["network"]
    wanted = {"signal": "NCL→NLC", "patches": "NCHW→NHWC"}.get(name.split(",")[0], "same")
    assert set(layouts(network).values()) == {wanted}


def test_no_transposes_between_convolutions(request: pytest.FixtureRequest, network: onnx.ModelProto) -> None:
    name = request.node.callspec.params["network"]
    kinds = [kind for kind, _ in models.operators(write(network, {}))]
    if not name.startswith(("attention", "encoder", "patches")):
        assert "TRANSPOSE" not in kinds
    if name == "signal":
        assert kinds.count("RESHAPE") == 2, "one to an image of one row, one from it"


def test_a_quantized_table_stays_in_integers(request: pytest.FixtureRequest, qdq: onnx.ModelProto) -> None:
    name = request.node.callspec.params["network"]
    if not name.startswith(("text", "recommender", "encoder")):
        pytest.skip("it has no table")
    interpreter = models.open_file(write(qdq, {}))
    tables = [each for each in interpreter.get_tensor_details() if list(each["shape"])[:1] in ([IDS], [IDS + 10])]
    assert {each["dtype"] for each in tables} == {np.int8}
