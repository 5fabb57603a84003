"""Whole networks from torch: answers, the file's face, and int8 labels on real digits."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
import onnxsim
import pytest
import timm
import torch
from ai_edge_litert import schema_py_generated as schema
from edgepress.data.dataset import Dataset
from edgepress.models.ensemble import Ensemble, Stack
from edgepress.models.tflite.convert import read_metadata, write
from torch import nn

from tests.models.tflite import models

NETWORKS: dict[str, tuple[str, list[int], dict[str, Any]]] = {
    "mobilenetv3": ("mobilenetv3_small_050", [1, 1, 40, 40], {}),
    "resnet, deep stem, odd channels": (
        "resnet10t",
        [1, 3, 33, 33],
        {"channels": (7, 13, 16, 23), "stem_width": 5},
    ),
}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> onnx.ModelProto:
    arch, shape, options = NETWORKS[request.param]
    torch.manual_seed(0)
    module = timm.create_model(arch, in_chans=shape[1], num_classes=10, **options)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.data.uniform_(0.5, 1.5)
            layer.bias.data.normal_(0, 0.3)
            layer.running_mean.normal_(0, 0.2)
            layer.running_var.uniform_(0.5, 1.5)
    return exported(module, shape)


def exported(module: nn.Module, shape: list[int]) -> onnx.ModelProto:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(), (torch.zeros(shape),), dynamo=True, opset_version=18, input_names=["input"],
            output_names=["output"], verbose=False,
        )  # fmt: skip
    assert program is not None
    simplified: onnx.ModelProto = onnxsim.simplify(program.model_proto)[0]
    return simplified


@pytest.mark.parametrize("runtime", models.EVERY)
def test_float_networks(network: onnx.ModelProto, runtime: str) -> None:
    samples = models.inputs(network, count=3)
    expected = models.in_onnxruntime(network, samples)
    found = models.in_tflite(write(network, {}), samples, runtime)
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def test_the_files_face(network: onnx.ModelProto) -> None:
    metadata = {"schema": 1, "labels": ["T-shirt", "größer"], "input": {"size": [28, 28], "mean": [0.5]}}
    data = write(network, metadata)
    assert read_metadata(data) == metadata
    assert write(network, metadata) == data

    interpreter = models.open_file(data)
    shape = [size.dim_value for size in network.graph.input[0].type.tensor_type.shape.dim]
    assert interpreter.get_input_details()[0]["shape"].tolist() == [shape[0], *shape[2:], shape[1]]
    assert [each["name"] for each in interpreter.get_input_details()] == ["input"]
    assert [each["name"] for each in interpreter.get_output_details()] == ["output"]
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["input"], "outputs": ["output"]}}

    kinds = {name for name, _ in models.operators(data)}
    assert "TRANSPOSE" not in kinds
    assert not kinds & {"RELU", "RELU6"}, "activations are fused"
    file = schema.Model.GetRootAs(data)
    starts = [file.Buffers(index)._tab for index in range(1, file.BuffersLength())]
    assert all(each.Vector(each.Offset(4)) % 16 == 0 for each in starts if each.Offset(4))


class Net(nn.Module):
    """A network of the mobile kind for 8×8 digits, with odd channel counts."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 19, 3, padding=1, bias=False), nn.BatchNorm2d(19), nn.Hardswish())
        self.block = nn.Sequential(
            nn.Conv2d(19, 37, 1, bias=False), nn.BatchNorm2d(37), nn.ReLU6(),
            nn.Conv2d(37, 37, 3, padding=1, groups=37, bias=False), nn.BatchNorm2d(37), nn.ReLU6(),
            nn.Conv2d(37, 19, 1, bias=False), nn.BatchNorm2d(19),
        )  # fmt: skip
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(19, 5, 1), nn.ReLU(), nn.Conv2d(5, 19, 1))
        self.down = nn.Sequential(nn.Conv2d(19, 31, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(31), nn.ReLU())
        self.head = nn.Linear(31, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = x + self.block(x)
        x = x * nn.functional.hardsigmoid(self.gate(x))
        logits: torch.Tensor = self.head(self.down(x).mean((2, 3)))
        return logits


@pytest.fixture(scope="module")
def trained(digits: Dataset) -> tuple[list[Net], Dataset]:
    nets = []
    x = torch.from_numpy(digits.input.to_model_inputs(digits["train"].x))
    y = torch.from_numpy(np.asarray(digits["train"].y)).long()
    for seed in (0, 1):
        torch.manual_seed(seed)
        net = Net()
        optimizer = torch.optim.AdamW(net.parameters(), 5e-3)
        for _ in range(120):
            chosen = torch.randint(len(x), (64,))
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[chosen]), y[chosen]).backward()
            optimizer.step()
        nets.append(net)
    return nets, digits


def test_int8_labels_of_real_digits(trained: tuple[list[Net], Dataset]) -> None:
    nets, data = trained
    images = data.input.to_model_inputs(data["test"].x)
    model = models.quantized(
        exported(nets[0], [1, *data.input.shape]), data.input.to_model_inputs(data["validation"].x[:100])
    )
    file = write(model, {})
    expected = models.in_onnxruntime(model, images)
    assert (expected.argmax(1) == data["test"].y).mean() > 0.9
    for runtime in models.RUNTIMES:
        found = models.in_tflite(file, images, runtime)
        assert (found.argmax(1) == expected.argmax(1)).mean() >= 0.99
        assert (np.abs(found - expected) <= 2.5 * models.step(model)).mean() >= 0.99


def test_a_stack_is_one_file(trained: tuple[list[Net], Dataset]) -> None:
    nets, data = trained
    images = data.input.to_model_inputs(data["test"].x)
    stack = Stack(list(nets), len(data.labels))
    torch.nn.init.eye_(stack.combine.weight)
    model = exported(stack, [1, *data.input.shape])
    expected = models.in_onnxruntime(model, images)
    for runtime in models.RUNTIMES:
        np.testing.assert_allclose(models.in_tflite(write(model, {}), images, runtime), expected, rtol=1e-3, atol=1e-3)


def test_an_ensemble_is_one_file(trained: tuple[list[Net], Dataset]) -> None:
    nets, data = trained
    images = data.input.to_model_inputs(data["test"].x)
    model = exported(Ensemble(list(nets), [0.3, 0.7]), [1, *data.input.shape])
    expected = models.in_onnxruntime(model, images)
    for runtime in models.RUNTIMES:
        np.testing.assert_allclose(models.in_tflite(write(model, {}), images, runtime), expected, rtol=1e-3, atol=1e-3)
    integers = models.quantized(model, data.input.to_model_inputs(data["validation"].x[:100]))
    wanted = models.in_onnxruntime(integers, images)
    for runtime in models.RUNTIMES:
        found = models.in_tflite(write(integers, {}), images, runtime)
        assert (found.argmax(1) == wanted.argmax(1)).mean() >= 0.99
