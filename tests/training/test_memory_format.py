"""Layouts, and that a narrow strided 1x1 convolution learns what it should: in a process, for it may die of it."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch
from edgepress.training.memory_format import channels_last, contiguous, prefer_channels_last, to_channels_last
from torch import nn

LEARNT = """
import torch
from torch import nn
from edgepress.training.memory_format import prefer_channels_last, to_channels_last

torch.set_num_threads(1)
torch.manual_seed(0)
for channels in range(1, 12):
    plain = nn.Conv2d(channels, 11, 1, 2, bias=False)
    x = torch.randn(128, channels, 8, 8)
    plain(x).square().sum().backward()
    wanted = plain.weight.grad.clone()
    plain.zero_grad()
    moved = prefer_channels_last(plain)
    to_channels_last(moved)
    for _ in range(20):
        moved.zero_grad()
        moved(x.to(memory_format=torch.channels_last)).square().sum().backward()
        torch.testing.assert_close(moved.weight.grad.contiguous(), wanted, rtol=1e-3, atol=1e-2)
print("learnt")
"""


def test_narrow_strided_convolutions_learn_without_harm() -> None:
    ended = subprocess.run([sys.executable, "-c", LEARNT], capture_output=True, text=True, check=False)
    assert ended.stdout == "learnt\n", (ended.returncode, ended.stderr[-2000:])


@pytest.mark.parametrize(
    ("layer", "usual"),
    [
        (nn.Conv2d(5, 11, 1, 2), True),
        (nn.Conv2d(5, 11, 1, 1), False),
        (nn.Conv2d(5, 11, 3, 2), False),
        (nn.Conv2d(16, 11, 1, 2), False),
        (nn.Conv2d(32, 32, 1, 2, groups=8), True),
    ],
)
def test_only_those_keep_the_usual_layout(layer: nn.Conv2d, usual: bool) -> None:
    moved = prefer_channels_last(nn.Sequential(layer))
    to_channels_last(moved)
    x = torch.randn(2, layer.in_channels, 6, 6).to(memory_format=torch.channels_last)
    seen: list[bool] = []
    layer.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].is_contiguous()))
    torch.testing.assert_close(copy.deepcopy(moved)(x), moved(x))
    assert set(seen) == {usual}


def _in_channels_last(layer: nn.Conv2d) -> bool:
    return not layer.weight.is_contiguous()


def test_the_layout_holds_for_a_block_and_is_restored() -> None:
    layer, alone = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
    model = nn.Sequential(prefer_channels_last(nn.Sequential(layer)), alone)
    with channels_last(model):
        assert _in_channels_last(layer)
        assert not _in_channels_last(alone), "a network that is not marked keeps its layout"
        with channels_last(model):
            pass
        assert _in_channels_last(layer), "an inner block leaves what an outer one set"
        with contiguous(model), torch.no_grad():
            layer.weight.flatten()[:5] = 0
        assert _in_channels_last(layer)
    assert not _in_channels_last(layer)
    assert (layer.weight.flatten()[:5] == 0).all()
