"""What a plan removes is as if it were zero, whatever the network; what cannot be followed is left and named."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from edgepress.core.errors import UserError
from edgepress.models.description import Description, Network, Takes
from edgepress.models.pruning import replay
from edgepress.stages.prune.groups import output_layers
from edgepress.stages.prune.plan import Options, Plan, plan, reasons
from edgepress.stages.prune.zeroing import difference
from torch import nn

from tests.stages.prune.nets import Net, TwoInputs

IMAGES = Description(channels=1, classes=10, size=(8, 8), network=Network(arch="timm/resnet18"))
OPTIONS = Options(0.4, 4, False)


def planned(module: nn.Module, description: Description = IMAGES, options: Options = OPTIONS) -> tuple[Plan, nn.Module]:
    """Return the plan and the pruned network, with outputs like those of the unpruned one with zeros."""
    result = plan(module.eval(), description.example(), options)
    pruned = copy.deepcopy(module)
    replay(pruned, result.history, description.example())
    inputs = tuple(
        torch.randn(3, *x.shape[1:]) if x.is_floating_point() else x.repeat(3, 1) for x in description.example()
    )
    assert difference(module, pruned, result.groups, inputs) <= 1e-5
    return result, pruned


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


KINDS = ("plain", "mask", "shared", "conv_head", "depthwise", "frozen", "control", "decoder", "shuffle", "group", "glu",
         "channels", "softmax")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_removed_was_as_good_as_zero(kind: str) -> None:
    torch.manual_seed(0)
    module = Net(kind)
    result, pruned = planned(module)
    assert result.groups
    assert size(pruned) < size(module)


@pytest.mark.parametrize(
    ("kind", "layer", "reason"),
    [
        ("shuffle", "a", "cannot be followed"),
        ("glu", "a", "cannot be followed"),
        ("group", "a", "a norm averages over their channels"),
    ],
)
def test_what_is_left_is_named(kind: str, layer: str, reason: str) -> None:
    torch.manual_seed(0)
    result, pruned = planned(Net(kind))
    assert reason in result.unpruned[layer]
    assert pruned.get_submodule(layer).out_channels == Net(kind).get_submodule(layer).out_channels


def test_a_cell_that_reads_the_only_channels_is_named() -> None:
    with pytest.raises(UserError, match="can be pruned: their channels cannot be followed: `a`"):
        planned(Net("recurrent"))


def test_several_inputs() -> None:
    inputs = [Takes(name="x", kind="numbers", shape=(5,)), Takes(name="y", kind="numbers", shape=(3,))]
    description = Description(classes=2, inputs=inputs, network=Network(arch="edgepress/mlp"))
    result, pruned = planned(TwoInputs(), description)
    assert {group.root for group in result.groups} == {"a", "b"}
    assert pruned.get_submodule("h").in_features == 32


def test_one_channel_stays() -> None:
    module = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 10))
    result, pruned = planned(module, options=Options(0.5, 1, False))
    assert size(pruned) == size(module)
    assert not result.unpruned


def test_attentions_lose_whole_heads() -> None:
    import timm

    torch.manual_seed(0)
    module = timm.create_model("test_vit", num_classes=10, in_chans=1)
    description = Description(channels=1, classes=10, size=(160, 160), network=Network(arch="timm/test_vit"))
    result, pruned = planned(module, description, Options(0.5, 4, False))
    before, after = module.blocks[0].attn, pruned.blocks[0].attn  # type: ignore[union-attr,index]
    assert (before.num_heads, after.num_heads) == (2, 1)
    assert after.qkv.out_features == before.qkv.out_features // 2
    assert list(result.unpruned.values()) == ["a norm averages over their channels"]
    assert reasons(result.unpruned) == ["a norm averages over their channels: `blocks.*.mlp.fc2`"]


def test_ignored_layers_keep_their_channels() -> None:
    module = Net("depthwise")
    result, pruned = planned(module, options=OPTIONS._replace(ignore=["b*"]))
    assert pruned.get_submodule("b").out_channels == 32
    assert pruned.get_submodule("a").out_channels < 32
    assert not result.unpruned


@pytest.mark.parametrize(
    ("kind", "layers"), [("plain", ["h"]), ("conv_head", ["h"]), ("decoder", ["h"]), ("depthwise", ["h"])]
)
def test_what_makes_the_output_is_found(kind: str, layers: list[str]) -> None:
    """Whatever its type and its width: hidden layers as wide as there are classes are pruned."""
    torch.manual_seed(0)
    module = Net(kind, classes=32)
    assert names(module, output_layers(module.eval(), IMAGES.example())) == layers
    result, pruned = planned(module)
    assert "h" not in result.unpruned, "an output is nothing to warn of"
    assert pruned(*IMAGES.example()).shape == (1, 32)
    assert size(pruned) < size(module)


def test_outputs_may_be_joined_or_read_again() -> None:
    class Several(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c, self.d = (nn.Conv2d(wide, 16, 1) for wide in (1, 16, 16, 16))

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            a = self.a(x)
            b = self.b(a.relu())
            c = self.c(b.relu()).relu()
            return {"joined": torch.cat([b, self.d(c)], 1).flatten(2).transpose(1, 2)}

    module = Several()
    assert names(module, output_layers(module, IMAGES.example())) == ["b", "d"]


@pytest.mark.parametrize("task", ["segmentation", "keypoints", "image"])
def test_heads_for_pixels_keep_their_outputs(task: Any) -> None:
    torch.manual_seed(0)
    network = Network(arch="timm/test_efficientnet", head_channels=32)
    description = Description(channels=3, classes=5, size=(32, 32), target=(32, 32), task=task, network=network)
    module = description.build()
    result, pruned = planned(module, description, Options(0.3, 4, False))
    assert names(module, output_layers(module, description.example())) == ["low_classifier", "high_classifier"]
    assert not result.unpruned
    assert pruned.get_submodule("project.0").out_channels < 32
    x = description.example()
    assert pruned(*x).shape == module(*x).shape
    assert macs(pruned, x) < 0.75 * macs(module, x)


def names(module: nn.Module, layers: list[nn.Module]) -> list[str]:
    return [name for name, layer in module.named_modules() if layer in layers]


def macs(module: nn.Module, x: tuple[torch.Tensor, ...]) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(*x)
    return counter.get_total_flops() // 2


def test_a_pattern_of_no_layer_is_refused() -> None:
    with pytest.raises(UserError, match="no layer is called `heads`"):
        plan(Net("plain"), IMAGES.example(), OPTIONS._replace(ignore=["heads"]))


def test_a_network_of_which_nothing_can_be_pruned_is_refused() -> None:
    module = nn.Sequential(nn.Conv2d(1, 32, 3), nn.GroupNorm(4, 32), nn.Flatten(), nn.Linear(32 * 36, 10))
    with pytest.raises(UserError, match="nothing of this network can be pruned: a norm averages") as error:
        plan(module, IMAGES.example(), OPTIONS)
    assert "quantize" in error.value.problems[0].help


def test_no_warning_is_torch_prunings(recwarn: pytest.WarningsRecorder) -> None:
    module: Any = Net("plain")
    module.gamma = nn.Parameter(torch.ones(32, 1, 1))
    planned(module)
    assert not [warning for warning in recwarn if "torch_pruning" in warning.filename]
