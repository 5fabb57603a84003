"""Pictures without labels: nothing is learnt, and a model is judged by how often it answers as its reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edgepress.config import recipe
from edgepress.core.errors import UserError
from edgepress.data.load import load_dataset
from edgepress.data.source import Source
from edgepress.engine.cache import Cache
from edgepress.engine.engine import Engine
from edgepress.models.description import Network
from edgepress.models.metadata import read, to_model_inputs
from edgepress.models.predict import predict

from tests.conftest import fresh
from tests.data.made import photo
from tests.engine.test_engine import Quiet

RECIPE = """\
name: mine
task:
  data: {from: ./photos, size: 32, labels: imagenet}
  metric: agreement
stages:
  - {use: load, name: net, from: net/model.safetensors}
  - {use: export.onnx, name: float, embed: [normalize, softmax], dtype: uint8}
  - {use: quantize.static, name: int8, samples: 4}
targets: []
"""


@pytest.fixture
def mine(tmp_path: Path, tiny: Network) -> Path:
    for number in range(30):
        photo(tmp_path / f"photos/{number}.jpg", (40 + number, 36))
    found = load_dataset(Source.model_validate({"from": str(tmp_path / "photos"), "size": 32, "labels": "imagenet"}))
    fresh(tiny, found, tmp_path / "net")
    (tmp_path / "mine.yaml").write_text(RECIPE)
    return tmp_path / "mine.yaml"


def engine(path: Path) -> Engine:
    return Engine(recipe.load(path), Cache(path.parent / "cache"))


def test_models_are_scored_by_the_references_answers(mine: Path) -> None:
    run = engine(mine)
    net, float, int8 = run.run(Quiet())
    assert net.files[0].scores["test"]["agreement"] == net.files[0].scores["validation"]["agreement"] == 1
    assert set(net.files[0].correct) == {"1"}
    assert float.files[0].scores["test"]["agreement"] == 1
    for file in int8.files:
        path, x = Path(file.path), run.data["test"].x
        theirs = predict(Path(net.files[0].path), run.data.to_model_inputs(x)).argmax(1)
        mine_too = predict(path, to_model_inputs(read(path), run.data, x)).argmax(1)
        assert file.correct == "".join("1" if same else "0" for same in theirs == mine_too)
        assert np.isclose(file.scores["test"]["agreement"], (theirs == mine_too).mean())
    assert {each.action for each in engine(mine).plan()} == {"cached"}


@pytest.mark.parametrize(
    ("old", "new", "said", "help"),
    [
        ("  metric: agreement\n", "", "`photos` has no labels, which `accuracy` counts by", "`metric: agreement`"),
        ("agreement", "auc", "`photos` has no labels, which `auc` counts by", "`metric: agreement`"),
        (
            "{use: load, name: net, from: net/model.safetensors}",
            "{use: train, name: net, model: timm/resnet18, epochs: 1}",
            "`photos` has no labels to train on",
            "remove the stages that train",
        ),
    ],
)
def test_labels_that_are_wanted_and_are_not_there(mine: Path, old: str, new: str, said: str, help: str) -> None:
    mine.write_text(RECIPE.replace(old, new))
    with pytest.raises(UserError) as error:
        engine(mine).run(Quiet())
    assert said in str(error.value)
    assert help in str(error.value)
    assert str(mine) in str(error.value)


@pytest.mark.slow
def test_another_reference_is_another_score(mine: Path) -> None:
    engine(mine).run(Quiet())
    second = "  - {use: load, name: other, from: net/model.safetensors}\n  - {use: export"
    mine.write_text(RECIPE.replace("  - {use: export", second, 1) + "reference: float\n")
    planned = {each.label: each.action for each in engine(mine).plan()}
    assert planned == {"net": "cached", "other": "cached", "float": "run", "int8": "run"}, "score by score"
