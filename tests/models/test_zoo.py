"""Networks by name: what is saved comes back, what does not fit is told, and nothing in a file is run."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from edgepress.core.errors import UserError
from edgepress.data.dataset import Dataset
from edgepress.data.load import load_dataset
from edgepress.models import checkpoint
from edgepress.models.description import METADATA_KEY, Description, Network
from safetensors.torch import load_file, save_file

from tests.conftest import fresh


def answers(module: Any, data: Dataset) -> torch.Tensor:
    with torch.inference_mode():
        return module.eval()(torch.from_numpy(data.input.to_model_inputs(data["test"].x[:8])))


def same(one: Any, other: Any) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def cells(module: Any, data: Dataset) -> tuple[int, ...]:
    with torch.inference_mode():
        return tuple(module.forward_features(torch.zeros(1, *data.input.shape)).shape[-2:])


def test_a_network_comes_back_with_its_weights(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    description = tiny.describe(few)
    module = description.build()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    checkpoint.save(module, description, tmp_path / "m.safetensors")
    loaded, found = checkpoint.load(tmp_path / "m.safetensors")
    assert found == description
    assert same(loaded, module)
    assert not loaded.training
    assert torch.equal(answers(loaded, few), answers(module, few))


def test_the_file_is_the_same_bytes_each_time(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    """The engine keys what comes after on the file's digest."""
    one = fresh(tiny, few, tmp_path / "a").path.read_bytes()
    assert one == fresh(tiny, few, tmp_path / "b").path.read_bytes()
    assert one != fresh(tiny, few, tmp_path / "c", seed=1).path.read_bytes()


def test_an_ensemble_comes_back(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    members = [tiny.describe(few), Network(arch="timm/mobilenetv2_035").describe(few)]
    whole = Description(channels=1, classes=10, size=(8, 8), members=members, weights=[0.25, 0.75])
    module = whole.build()
    checkpoint.save(module, whole, tmp_path / "m.safetensors")
    loaded, found = checkpoint.load(tmp_path / "m.safetensors")
    assert found == whole
    assert torch.equal(answers(loaded, few), answers(module, few))


def test_another_architecture_is_told_with_its_first_tensor(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    tensors = load_file(fresh(tiny, few, tmp_path).path)
    other = Network(arch="timm/resnet18", args={"layers": [1, 1, 1, 1], "channels": [8, 16, 24, 40], "stem_width": 8})
    module = other.describe(few).build()
    expected = module.state_dict()
    differ = [name for name in expected if expected[name].shape != tensors[name].shape]
    with pytest.raises(UserError) as error:
        checkpoint.fill(module, tensors, tmp_path / "a.safetensors")
    mine, theirs = ("×".join(map(str, each[min(differ)].shape)) for each in (tensors, expected))
    assert error.value.problems[0].message == (
        f"`{tmp_path}/a.safetensors` does not fit the network; `{min(differ)}` is {mine}, the network has {theirs}"
        f" and {len(differ) - 1} more"
    )


def test_missing_and_surplus_tensors_are_told(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    tensors = load_file(fresh(tiny, few, tmp_path).path)
    tensors["surplus"] = tensors.pop("fc.bias")
    with pytest.raises(UserError, match=r"the network; missing: `fc.bias`; not in the network: `surplus`"):
        checkpoint.fill(tiny.describe(few).build(), tensors, tmp_path / "a.safetensors")


def test_names_with_a_wrapper_before_them_are_told(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    tensors = load_file(fresh(tiny, few, tmp_path).path)
    with pytest.raises(UserError) as error:
        checkpoint.fill(
            tiny.describe(few).build(), {f"module.{name}": t for name, t in tensors.items()}, tmp_path / "a.pt"
        )
    assert f"missing: `bn1.bias` and {len(tensors) - 1} more; not in the network: `module.bn1.bias`" in str(error.value)
    assert "each name begins with `module.`" in error.value.problems[0].help


def test_without_a_description_the_file_is_told_what_lacks(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(2)}, tmp_path / "m.safetensors")
    with pytest.raises(UserError, match="does not name the network") as error:
        checkpoint.load(tmp_path / "m.safetensors")
    assert "model: timm/" in error.value.problems[0].help


@pytest.mark.parametrize("text", ["{", "[]", '{"channels": 1}', '{"classes": "many"}', "null"])
def test_a_damaged_description_is_told(tmp_path: Path, text: str) -> None:
    save_file({"w": torch.zeros(2)}, tmp_path / "m.safetensors", {METADATA_KEY: text})
    with pytest.raises(UserError, match=r"m\.safetensors"):
        checkpoint.load(tmp_path / "m.safetensors")


@pytest.mark.parametrize("content", [b"", b"not tensors", b"\xff" * 64])
def test_other_files_are_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="not a safetensors file"):
        checkpoint.load(tmp_path / "m.safetensors")


def test_a_cut_file_is_told(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    path = fresh(tiny, few, tmp_path).path
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="not a safetensors file"):
        checkpoint.load(path)


def test_a_pickle_named_safetensors_does_not_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    (tmp_path / "m.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UserError, match="not a safetensors file"):
        checkpoint.load(tmp_path / "m.safetensors")
    assert not (tmp_path / "ran").exists()


def test_a_small_image_keeps_two_by_two_cells() -> None:
    """MobileNetV2 halves five times: 28 pixels would end as one cell."""
    fashion = load_dataset("fashion-mnist-10k", 2)
    module = Network(arch="timm/mobilenetv2_035").describe(fashion).build()
    assert cells(module, fashion) == (2, 2)
    assert module.conv_stem.stride == (1, 1)
    assert {tuple(m.stride) for n, m in module.named_modules() if n == "blocks.1.0.conv_dw"} == {(2, 2)}


@pytest.mark.parametrize(("stride", "expected"), [(8, 4), (16, 2), (32, 1), (64, 1)])
def test_the_stride_that_a_recipe_asks_for(tiny: Network, stride: int, expected: int) -> None:
    fashion = load_dataset("fashion-mnist-10k", 2)
    module = tiny.model_copy(update={"stride": stride}).describe(fashion).build()
    assert cells(module, fashion) == (expected, expected)


@pytest.mark.parametrize(
    "arch", ["timm/mobilenetv2_035", "timm/mobilenetv3_small_050", "timm/resnet18", "timm/regnetx_002"]
)
def test_a_stride_that_the_stem_cannot_reach_is_told(arch: str) -> None:
    fashion = load_dataset("fashion-mnist-10k", 2)
    with pytest.raises(UserError, match=r"the stem leaves \d × \d cells of 28 × 28 pixels, not the 14 of `stride: 2`"):
        Network(arch=arch, stride=2).describe(fashion).build()


@pytest.mark.parametrize(
    "network",
    [
        {"arch": "timm/no_such_network"},
        {"arch": "timm/resnet18", "args": {"no_such_argument": 1}},
        {"arch": "timm/resnet18", "args": {"layers": [1]}},
        {"arch": "timm/resnet18", "args": {"layers": "two"}},
        {"arch": "timm/resnet18", "args": {"channels": [8, 16, 24]}},
        {"arch": "timm/resnet18", "args": {"act_layer": "no_such"}},
        {"arch": "timm/vit_tiny_patch16_224"},
        {"arch": "timm/inception_v4"},
        {"arch": "timm/swin_tiny_patch4_window7_224", "stride": 2},
    ],
    ids=lambda network: network["arch"][5:] + ",".join(network.get("args", {})),
)
def test_a_network_that_cannot_be_built_is_told(network: dict[str, Any], few: Dataset) -> None:
    with pytest.raises(UserError) as error:
        Network.model_validate(network).describe(few).build()
    assert network["arch"].removeprefix("timm/") in str(error.value)
    assert error.value.problems[0].help


def test_fresh_weights_depend_on_the_seed_alone(tiny: Network, few: Dataset) -> None:
    from edgepress.training import seeded

    def build(seed: int) -> Any:
        with seeded(seed):
            return tiny.describe(few).build()

    torch.manual_seed(5)
    before = torch.rand(3)
    torch.manual_seed(5)
    one = build(7)
    assert torch.equal(torch.rand(3), before), "the block leaves the generator of others as it was"
    assert same(one, build(7))
    assert not same(one, build(8))


@pytest.mark.parametrize(
    "arch", ["repvgg_a0", "mobileone_s0", "convnext_atto", "densenet121", "regnetx_002", "ghostnet_050"]
)
def test_other_families_take_small_images(arch: str) -> None:
    """Stems with parallel paths, patches, pools; some fail on 28 pixels unless their stem keeps its stride."""
    fashion = load_dataset("fashion-mnist-10k", 2)
    module = Network(arch=f"timm/{arch}").describe(fashion).build()
    assert min(cells(module, fashion)) >= 2


def test_description_is_plain_json(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    from safetensors import safe_open

    with safe_open(fresh(tiny, few, tmp_path).path, "pt") as file:
        stored = json.loads(file.metadata()[METADATA_KEY])
    assert stored["network"]["arch"] == "timm/resnet18"
    assert (stored["channels"], stored["classes"], stored["size"]) == (1, 10, [8, 8])
