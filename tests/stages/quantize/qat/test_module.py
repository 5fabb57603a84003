"""A graph in torch is what it is in onnxruntime: float, int8, and written back after its numbers have moved."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from edgepress.core.errors import UserError
from edgepress.stages.quantize.qat.module import Graph, rounded, slot
from onnx import helper, numpy_helper
from torch import nn
from torch.nn import functional

from tests.models.tflite import families, models


class Squeezed(nn.Module):
    """MobileNetV3's parts, with odd channel counts: hard swish, a squeeze-and-excitation, a residual.

    The mean of nine integers is never halfway between two, where the order of a sum would decide.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.wide = nn.Conv2d(3, 5, 3, 2, 1), nn.Conv2d(5, 13, 1)
        self.deep, self.narrow = nn.Conv2d(13, 13, 5, padding=2, groups=13), nn.Conv2d(13, 5, 1)
        self.squeeze, self.excite, self.head = nn.Conv2d(13, 3, 1), nn.Conv2d(3, 13, 1), nn.Linear(5, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.hardswish(self.stem(x))
        wide = functional.hardswish(self.deep(functional.relu(self.wide(x))))
        gate = self.excite(functional.relu(self.squeeze(functional.adaptive_avg_pool2d(wide, 1))))
        x = x + self.narrow(wide * functional.hardsigmoid(gate))
        logits: torch.Tensor = self.head(functional.avg_pool2d(x, 3).mean((2, 3)))
        return logits


class Residual(nn.Module):
    """A block of a ResNet, its batch norms folded by the export."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 9, 3, 2, 1, bias=False), nn.Conv2d(9, 9, 3, padding=1, bias=False)
        self.short, self.norms = nn.Conv2d(3, 9, 1, 2, bias=False), nn.ModuleList([nn.BatchNorm2d(9) for _ in range(3)])
        self.head = nn.Linear(9, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, two, short = self.norms
        y = two(self.two(functional.relu(one(self.one(x)))))
        y = functional.max_pool2d(functional.relu(y + short(self.short(x))), 3, 2, 1)
        logits: torch.Tensor = self.head(y.flatten(2).mean(2)).softmax(1)
        return logits


IMAGE = (torch.zeros(1, 3, 17, 17),)
NETWORKS = {**families.NETWORKS, "squeezed": (Squeezed, IMAGE, 18), "residual": (Residual, IMAGE, 18)}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> onnx.ModelProto:
    return families.exported(*NETWORKS[request.param])


@pytest.fixture(scope="module", params=[True, False], ids=["per channel", "per tensor"])
def qdq(request: pytest.FixtureRequest, network: onnx.ModelProto) -> onnx.ModelProto:
    return models.quantized(network, models.feeds(network, 30, seed=5), per_channel=request.param)


def both(model: onnx.ModelProto, graph: Graph | None = None, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Answers in torch, in one batch, and in onnxruntime, each example for itself and each node as it is written."""
    feeds = models.feeds(model, count)
    columns = [torch.from_numpy(np.concatenate([feed[value.name] for feed in feeds])) for value in model.graph.input]
    graph = Graph(model) if graph is None else graph
    with torch.inference_mode():
        found = graph(*columns).numpy()
    return found, models.answers(model, feeds, as_written=True).reshape(count, -1)


def moved(graph: Graph) -> Graph:
    """As if it had learnt something: every parameter some percent away."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in graph.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=random), alpha=0.02)
    return graph


def integers(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    return {name: array for name, array in arrays.items() if array.dtype in (np.int8, np.int32)}


def test_float_answers(network: onnx.ModelProto) -> None:
    found, expected = both(network)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_int8_answers(qdq: onnx.ModelProto) -> None:
    """To the integer, save where a float in between falls upon the edge of two."""
    found, expected = both(qdq)
    step = np.ptp(expected) / 255
    assert (np.abs(found - expected) <= 1.5 * step).all()
    assert (np.abs(found - expected) < 0.01 * step).mean() > 0.99


def test_written_back_it_answers_as_it_did_in_torch(qdq: onnx.ModelProto) -> None:
    graph = moved(Graph(qdq))
    made = graph.written(qdq)
    assert [node.SerializeToString() for node in made.graph.node] == [n.SerializeToString() for n in qdq.graph.node]
    onnx.checker.check_model(made)
    found, expected = both(made, graph)
    step = np.ptp(expected) / 255
    assert (np.abs(found - expected) < 0.01 * step).mean() > 0.99
    assert (np.abs(found - expected) <= 1.5 * step).all()
    before, _ = both(qdq)
    assert np.abs(found - before).max() > 2 * step, "and not as before"


def test_nothing_learnt_is_nothing_changed(network: onnx.ModelProto, qdq: onnx.ModelProto) -> None:
    """The float kernels that it begins with round to the integers that are there."""
    for graph in (Graph(qdq), Graph(qdq, network)):
        made = graph.written(qdq)
        assert integers(made).keys() == integers(qdq).keys()
        for name, array in integers(made).items():
            # A float bias may be halfway between two of its 2³² steps.
            np.testing.assert_allclose(
                array.astype(int), integers(qdq)[name].astype(int), rtol=0, atol=array.itemsize // 4
            )
    floats = {tensor.name: numpy_helper.to_array(tensor) for tensor in network.graph.initializer}
    exact = [
        name
        for name in graph.plan.kernels
        if np.array_equal(graph.plan.initial_values(name, floats), floats.get(name.removesuffix("_quantized")))
    ]
    assert exact, "some kernels go by the name that they have in the float graph"


def test_every_kernel_bias_and_scale_learns(qdq: onnx.ModelProto) -> None:
    graph = Graph(qdq)
    stored = {name for name, array in integers(qdq).items() if array.ndim > 1 and array.dtype == np.int8}
    assert len(graph.plan.kernels) >= min(len(stored), 2)
    feeds = models.feeds(qdq, 8)
    columns = [torch.from_numpy(np.concatenate([feed[value.name] for feed in feeds])) for value in qdq.graph.input]
    answers = graph(*columns)
    (answers * torch.randn(answers.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    for name, parameter in graph.learnt.items():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    kernels = [graph.learnt[slot(name)] for name in graph.plan.kernels]
    assert all(kernel.grad is not None and float(kernel.grad.abs().max()) > 0 for kernel in kernels)


def test_the_gradient_knows_of_no_rounding() -> None:
    """1 within the range and 0 without for the number; for the scale by differences, the rounding held as it is."""
    x = torch.tensor([-9.0, -1.26, -0.2, 0.0, 0.13, 0.99, 7.0], dtype=torch.float64, requires_grad=True)
    scale = torch.tensor(0.25, dtype=torch.float64, requires_grad=True)
    found = rounded(x, scale, -6, 9)
    assert found.tolist() == [-1.5, -1.25, -0.25, 0.0, 0.25, 1.0, 2.25]
    found.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 1, 1, 1, 1, 1, 0]
    steps = x.detach() / 0.25
    expected = torch.where((steps > -6) & (steps < 9), steps.round() - steps, steps.clamp(-6, 9)).sum()
    assert scale.grad is not None
    assert scale.grad.item() == pytest.approx(expected.item())


def test_halves_go_to_the_even_step() -> None:
    x = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5])
    assert rounded(x, torch.tensor(1.0), -128, 127).tolist() == [0, 2, 2, 0, -2]


def test_logits_are_what_the_softmax_takes_and_its_scale_stays() -> None:
    model = families.exported(*NETWORKS["residual"])
    qdq = models.quantized(model, models.feeds(model, 30, seed=5))
    found, expected = both(qdq, Graph(qdq, logits=True))
    step = 1 / 256
    assert np.abs(torch.from_numpy(found).softmax(1).numpy() - expected).max() < 2 * step
    whole = Graph(qdq)
    softmax = next(node for node in qdq.graph.node if node.op_type == "Softmax")
    after = next(node for node in qdq.graph.node if node.input[0] == softmax.output[0])
    assert after.input[1] not in whole.plan.scales
    assert Graph(families.exported(*NETWORKS["squeezed"]), logits=True).plan.outputs == ["output"], (
        "there is none to leave out"
    )


def test_the_least_and_the_largest_biases_stay_within_32_bits() -> None:
    model = families.exported(*NETWORKS["squeezed"])
    qdq = models.quantized(model, models.feeds(model, 30, seed=5))
    graph = Graph(qdq)
    name = next(iter(graph.plan.biases))
    with torch.no_grad():
        graph.learnt[slot(name)].copy_(torch.tensor([1e12, -1e12, 0.0, 0.0, 0.0]))
    assert integers(graph.written(qdq))[name].tolist() == [2**31 - 1, -(2**31), 0, 0, 0]


def test_an_operator_that_is_not_in_the_table_is_told() -> None:
    model = models.graph((1, 4), ("Relu", [-1], {}), ("Celu", [-1], {}))
    with pytest.raises(UserError, match=r"node `node_2` \(Celu\) is not among the operators that can be trained") as e:
        Graph(model)
    assert "quantize.static" in e.value.problems[0].help


def test_an_operator_of_the_same_name_from_elsewhere_is_told() -> None:
    model = models.graph((1, 4), ("Relu", [-1], {}))
    model.graph.node.append(helper.make_node("Gelu", ["output"], ["more"], domain="com.microsoft", name="odd"))
    with pytest.raises(UserError, match="`odd`"):
        Graph(model)
