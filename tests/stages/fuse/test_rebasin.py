"""Re-basin: channels of one network in the order of another's, and answers that stay as they were."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from edgepress.models.description import Description, Network, Takes
from edgepress.stages.fuse import rebasin
from edgepress.training import seeded
from torch import Tensor, nn

from tests.conftest import TINY


def image(arch: str, size: int = 16, colors: int = 1, **args: Any) -> Description:
    network = Network(arch=arch, args=args)
    return Description(network=network, channels=colors, classes=5, size=(size, size))


def numbers(arch: str, kind: str, shape: tuple[int, ...], vocabulary: int = 0, **args: Any) -> Description:
    takes = Takes.model_validate({"name": "x", "kind": kind, "shape": shape, "vocabulary": vocabulary})
    return Description(network=Network(arch=arch, args=args), classes=5, inputs=[takes])


NETWORKS = {
    "resnet18": image("timm/resnet18", **TINY["args"]),
    "odd": image("timm/resnet18", layers=[1, 1, 1, 1], channels=[7, 13, 11, 9], stem_width=7),
    "mobilenetv3": image("timm/tf_mobilenetv3_small_minimal_100", 32, 3),
    "mobilenetv2": image("timm/mobilenetv2_035", 32),
    "mlp": numbers("edgepress/mlp", "numbers", (7,), width=32),
    "conv1d": numbers("edgepress/conv1d", "series", (3, 24), width=8),
    "text": numbers("edgepress/text", "tokens", (12,), 40, width=16),
}


def made(description: Description, seed: int) -> nn.Module:
    """A network with random norms, as training would leave them."""
    with seeded(seed), torch.no_grad():
        module = description.build().eval()
        for layer in module.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                for tensor in (layer.weight, layer.running_var):
                    tensor.uniform_(0.5, 1.5)
                for tensor in (layer.bias, layer.running_mean):
                    tensor.normal_(0, 0.2)
    return module


def given(description: Description) -> tuple[Tensor, ...]:
    with seeded(9):
        return tuple(
            torch.randn(3, *each.shape[1:]) if each.is_floating_point() else torch.randint(0, 40, (3, *each.shape[1:]))
            for each in description.example()
        )


def answers(module: nn.Module, state: rebasin.State, inputs: tuple[Tensor, ...]) -> Tensor:
    module = copy.deepcopy(module)
    module.load_state_dict(state)
    with torch.inference_mode():
        found: Tensor = module.eval()(*inputs)
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_a_random_order_is_undone(name: str) -> None:
    description = NETWORKS[name]
    module = made(description, 1)
    original = module.state_dict()
    groups = rebasin.permutable(module, description.example())
    assert groups
    state = copy.deepcopy(original)
    random = torch.Generator().manual_seed(5)
    for group in groups:
        state = rebasin.reordered(state, group, torch.randperm(len(group[0].places), generator=random))
    assert any(not torch.equal(state[key], original[key]) for key in state)
    inputs = given(description)
    torch.testing.assert_close(answers(module, state, inputs), answers(module, original, inputs), rtol=1e-3, atol=1e-5)
    shuffled = copy.deepcopy(module)
    shuffled.load_state_dict(state)
    found = rebasin.align(module, shuffled, description.example())
    for key, tensor in found.items():
        torch.testing.assert_close(tensor, original[key], msg=key)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "mobilenetv3")) for name in NETWORKS]
)
def test_another_network_comes_nearer_and_answers_as_before(name: str) -> None:
    description = NETWORKS[name]
    one, other = made(description, 1), made(description, 2)
    before, target = other.state_dict(), dict(one.named_parameters())
    found = rebasin.align(one, other, description.example(), seed=3)
    inputs = given(description)
    torch.testing.assert_close(answers(other, found, inputs), answers(other, before, inputs), rtol=1e-3, atol=1e-5)
    far, near = (
        sum(float((target[key].detach() - state[key]).square().sum()) for key in target) for state in (before, found)
    )
    assert near < far
    assert all(torch.equal(found[key], again) for key, again in
               rebasin.align(one, other, description.example(), seed=3).items())  # fmt: skip
