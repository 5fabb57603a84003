"""The hard case of `bench-quant` is the same function as before."""

from __future__ import annotations

import torch
from edgepress.models.description import Description, Network
from edgepress.training import seeded

from tests.bench.quant_models import SPREAD, apart


def test_channels_scaled_apart_leave_the_answers() -> None:
    network = Network.model_validate({"arch": "timm/mobilenetv2_050", "args": {"act_layer": "relu"}})
    with seeded(0):
        module = Description(network=network, channels=1, classes=10, size=(28, 28)).build().eval()
        images = torch.rand(4, 1, 28, 28)
    norm = module.get_submodule("blocks.1.0.bn1")
    before = norm.weight.detach().clone()
    with torch.inference_mode():
        expected = module(images)
        found = apart(module, 0)(images)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    ratios = (norm.weight.detach() / before).log2()
    assert ratios.max() - ratios.min() > SPREAD
