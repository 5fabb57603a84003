"""Where networks run that are not trained: on the device that trains, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from edgepress.data.dataset import Dataset
from edgepress.training import Examples, device, inference, logits, reestimate
from torch import nn


class Net(nn.Module):
    """A network that notes where it is moved."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.LazyLinear(10))
        self.moves: list[Any] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.layers(x)
        return outputs

    def to(self, *args: Any, **kwargs: Any) -> Net:
        self.moves.append(args[0])
        return super().to(*args, **kwargs)


@pytest.fixture
def net(few: Dataset) -> Net:
    torch.manual_seed(0)
    net = Net()
    net(Examples(few, "train", 0).batch(inference.Rows(torch.arange(4), 0))[0])
    return net


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """Another name of the CPU, which is another device."""
    there = torch.device("cpu", 0)
    monkeypatch.setattr(device, "best", lambda: there)
    return there


def test_without_an_accelerator_nothing_moves(net: Net, few: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    logits(net, Examples(few, "validation", 0))
    reestimate(net, few, 0)
    assert net.moves == []


def test_outputs_come_from_the_device_and_the_network_comes_back(
    net: Net, few: Dataset, elsewhere: torch.device
) -> None:
    seen: list[torch.device] = []
    net.layers[0].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0].device))
    weight = net.layers[0].weight
    found = logits(net, Examples(few, "validation", 0))
    assert isinstance(found, np.ndarray)
    assert net.moves == [elsewhere, torch.device("cpu")]
    assert net.layers[0].weight is weight
    reestimate(net, few, 0)
    assert net.moves == [elsewhere, torch.device("cpu")] * 2
    assert len(seen) >= 2


def test_a_network_that_fails_comes_back_too(net: Net, elsewhere: torch.device) -> None:
    with pytest.raises(RuntimeError, match="of the test"), device.on_device(net):
        raise RuntimeError("of the test")
    assert net.moves == [elsewhere, torch.device("cpu")]


def test_what_is_there_already_stays(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "best", lambda: torch.device("cpu"))
    with device.on_device(net):
        pass
    assert net.moves == []


def test_the_device_is_accelerates(monkeypatch: pytest.MonkeyPatch) -> None:
    import accelerate

    class State:
        def __init__(self, cpu: bool) -> None:
            self.device = torch.device("cpu" if cpu else "meta")

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(accelerate, "PartialState", State)
    assert device.best() == torch.device("meta")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    assert device.best() == torch.device("cpu")
