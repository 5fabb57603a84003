"""Files from elsewhere are fed as the recipe states, files of ours as they say themselves, and never by assumption."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from edgepress.core.errors import UserError
from edgepress.core.paths import digest
from edgepress.data.dataset import Dataset
from edgepress.models import checkpoint, input_preparation, metadata
from edgepress.models.description import Network
from edgepress.models.onnx import export
from edgepress.models.onnx.importer import adopt
from edgepress.models.predict import predict
from edgepress.stages.load import Load
from safetensors.torch import save_file

from tests import graphs
from tests.conftest import TINY, Place, fresh, laid_out


def stated(data: Dataset, by: Any = "recipe", **values: Any) -> Dataset:
    return replace(data, inputs=(replace(data.input, normalized_by=by, **values),))


def test_a_foreign_file_needs_the_recipe_to_state_it(digits: Dataset, tmp_path: Path) -> None:
    onnx.save(graphs.small(), tmp_path / "a.onnx")
    for by in ("data", "train"):
        with pytest.raises(UserError, match="does not state how its inputs are normalized") as error:
            adopt(tmp_path / "a.onnx", stated(digits, by), tmp_path / "b.onnx")
        for choice in ("none", "raw", "imagenet", "{mean: […], std: […]}"):
            assert choice in error.value.problems[0].help
    for by in ("recipe", "function"):
        adopt(tmp_path / "a.onnx", stated(digits, by), tmp_path / "b.onnx")


def test_pixels_that_the_file_takes_as_they_are_need_nothing(digits: Dataset, tmp_path: Path) -> None:
    model = graphs.small()
    cast = onnx.helper.make_node("Cast", ["pixels"], ["x"], to=onnx.TensorProto.FLOAT)
    model.graph.node.insert(0, cast)
    model.graph.input[0].CopyFrom(onnx.helper.make_tensor_value_info("pixels", onnx.TensorProto.UINT8, (1, 1, 8, 8)))
    onnx.save(model, tmp_path / "a.onnx")
    adopt(tmp_path / "a.onnx", digits, tmp_path / "b.onnx")
    contract = metadata.read(tmp_path / "b.onnx")
    assert contract["inputs"][0]["mean"] == []
    assert input_preparation.taken(contract, digits) == "raw values, which the file normalizes itself"


def exported(tiny: Network, data: Dataset, path: Path, **options: Any) -> Path:
    module, _ = checkpoint.load(fresh(tiny, data, path.parent / "net").path)
    export.export(module, data, path, **options)
    return path


def test_our_own_file_is_fed_as_it_says_whatever_the_data_is(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    """Another folder has other moments; the network was trained with its own."""
    trained = stated(few, "data", mean=(0.25,), std=(0.5,))
    file = exported(tiny, trained, tmp_path / "ours.onnx")
    other = stated(few, "train", mean=(0.4,), std=(0.3,))
    adopt(file, other, tmp_path / "taken.onnx")
    contract = metadata.read(tmp_path / "taken.onnx")
    assert contract["inputs"][0]["mean"] == [0.25]
    assert input_preparation.taken(contract, other) == "x/255, then (− 0.25)/0.5, from the metadata of the model file"
    x = few["test"].x[:8]
    mine = predict(tmp_path / "taken.onnx", metadata.to_model_inputs(contract, other, x))
    np.testing.assert_allclose(mine, predict(file, trained.to_model_inputs(x)), rtol=1e-4, atol=1e-5)


def test_a_recipe_that_contradicts_our_own_file_is_refused(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    file = exported(tiny, stated(few, "data", mean=(0.25,), std=(0.5,)), tmp_path / "ours.onnx")
    with pytest.raises(UserError, match=r"takes x/255, then \(− 0.25\)/0.5, by its metadata, and the recipe states"):
        adopt(file, stated(few, mean=(0.0,), std=(1.0,)), tmp_path / "taken.onnx")


def test_what_a_file_of_ours_normalizes_itself_is_not_normalized_twice(
    tiny: Network, few: Dataset, tmp_path: Path
) -> None:
    file = exported(tiny, few, tmp_path / "ours.onnx", embed=["normalize"])
    adopt(file, few, tmp_path / "taken.onnx")
    contract = metadata.read(tmp_path / "taken.onnx")
    assert contract["inputs"][0]["mean"] == []
    x = few["test"].x[:8]
    mine = predict(tmp_path / "taken.onnx", metadata.to_model_inputs(contract, few, x))
    np.testing.assert_allclose(mine, predict(file, x.astype(np.float32)), rtol=1e-4, atol=1e-5)


def test_our_own_file_with_the_classes_in_another_order_is_refused(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    file = exported(tiny, replace(few, labels=tuple("0192345678")), tmp_path / "ours.onnx")
    with pytest.raises(UserError, match="in another order: class 2 is `9` there, and `2` in the data") as error:
        adopt(file, few, tmp_path / "taken.onnx")
    assert "labels: ['0', '1', '9'," in error.value.problems[0].help


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "[]", "{}", '{"inputs": 3}', '{"inputs": [{}]}', '{"inputs": [{"kind": "image", "mean": [0]}]}',
     '{"inputs": [{"kind": "image", "mean": ["a"], "std": [1], "scale": 1}], "labels": []}',
     '{"inputs": [{"kind": "image", "mean": [NaN], "std": [1], "scale": 1}], "labels": []}',
     '{"inputs": [{"kind": "image", "mean": [0], "std": [0], "scale": 1}], "labels": []}',
     '{"inputs": [{"kind": "image", "mean": [0], "std": [], "scale": 1}], "labels": []}'],
)  # fmt: skip
def test_metadata_that_only_looks_like_ours_states_nothing(text: str, digits: Dataset, tmp_path: Path) -> None:
    model = graphs.small()
    entry = model.metadata_props.add()
    entry.key, entry.value = "edgepress", text
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(UserError, match="does not state how its inputs are normalized"):
        adopt(tmp_path / "a.onnx", digits, tmp_path / "b.onnx")


def test_a_checkpoint_from_elsewhere_needs_it_and_one_of_ours_does_not(
    tiny: Network, digits: Dataset, few: Dataset, tmp_path: Path
) -> None:
    source = fresh(tiny, few, tmp_path / "origin")
    recipe = tmp_path / "recipe.yaml"
    ours = Load.model_validate({"use": "load", "from": "origin/model.safetensors"})
    ours.check_data(digits, recipe)
    from safetensors.torch import load_file

    save_file(load_file(source.path), tmp_path / "a.safetensors")
    foreign = Load.model_validate({"use": "load", "from": "a.safetensors", "model": TINY})
    with pytest.raises(UserError, match="does not state how its inputs are normalized"):
        foreign.check_data(digits, recipe)
    foreign.check_data(few, recipe)


def test_a_delivered_network_remembers_how_it_was_fed(
    tiny: Network, few: Dataset, tmp_path: Path, perform: Callable[..., Any]
) -> None:
    source = fresh(tiny, few, tmp_path / "origin")
    weights = tmp_path / "a.safetensors"
    weights.write_bytes(source.path.read_bytes())
    contract = metadata.describe(few) | {"sha256": digest(weights)}
    (tmp_path / "a.safetensors.json").write_text(json.dumps(contract))
    stage = Load.model_validate({"use": "load", "from": "a.safetensors"})
    recipe = tmp_path / "recipe.yaml"
    assert stage.check_data(few, recipe) == []
    same, _ = perform(stage, {}, few)
    assert same.path.read_bytes() == source.path.read_bytes()
    (warning,) = stage.check_data(stated(few, "train", mean=(0.9,), std=(0.9,)), recipe)
    assert "was trained with x/255, then (−" in warning
    with pytest.raises(UserError, match="in another order"):
        stage.check_data(replace(few, labels=tuple("0192345678")), tmp_path / "recipe.yaml")
    (tmp_path / "a.safetensors.json").write_text(json.dumps(contract | {"sha256": "of other weights"}))
    stage.check_data(replace(few, labels=tuple("0192345678")), tmp_path / "recipe.yaml")


def test_moments_of_another_sample_of_the_same_data_are_the_same(few: Dataset) -> None:
    one = replace(few.input, mean=(0.30,), std=(0.30,))
    assert not input_preparation.differ(one, replace(one, mean=(0.31,), std=(0.305,)))
    assert input_preparation.differ(one, replace(one, mean=(0.33,)))
    assert input_preparation.differ(one, replace(one, scale=1.0, mean=(0.3,), std=(0.3,)))
    assert not input_preparation.differ(one, replace(one, scale=1.0, mean=(76.5,), std=(76.5,)))
    three = replace(one, shape=(3, *one.shape[1:]))
    assert not input_preparation.differ(three, replace(three, mean=one.mean * 3)), "one may stand for all"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"mean": (0.5,), "std": (0.5,)}, "x/255, then (− 0.5)/0.5"),
        ({"mean": (0.0,), "std": (1.0,)}, "x/255"),
        ({"mean": (0.0,), "std": (1.0,), "scale": 1.0}, "x, pixels from 0 to 255 as they are"),
        ({"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.2, 0.2)}, "x/255, then (− [0.4, 0.5, 0.6])/0.2"),
        ({"kind": "numbers", "scale": 1.0, "mean": (0.0,) * 9, "std": (1.0,) * 9}, "x as it is"),
        ({"kind": "numbers", "scale": 1.0, "mean": tuple(range(9)), "std": (2.0,) * 9}, "x, then (− [9 values])/2"),
        ({"kind": "tokens"}, "token ids as they are"),
    ],
)
def test_formulas(few: Dataset, values: dict[str, Any], words: str) -> None:
    assert input_preparation.formula(replace(few.input, **values)) == words


RECIPE = """\
name: l
task: {data: DATA}
stages:
  - {use: load, name: float, from: m.onnx}
targets: [desk.yaml]
"""


def place(tmp_path: Path, data: str) -> Place:
    found = laid_out(tmp_path, RECIPE.replace("DATA", data))
    onnx.save(graphs.small(), tmp_path / "m.onnx")
    return found


@pytest.mark.parametrize("command", ["run", "plan"])
def test_the_recipe_is_refused_at_its_data_with_exit_2(tmp_path: Path, command: str) -> None:
    here = place(tmp_path, "digits")
    from tests.conftest import edgepress

    said = edgepress(command, here.recipe, "--cache", here.cache)
    assert said.code == 2
    assert said.err.startswith(
        f"{here.recipe}:2:14: `{tmp_path / 'm.onnx'}` does not state how its inputs are normalized"
    )
    assert not here.runs.exists()


def test_every_report_says_how_inputs_are_made_and_names_a_model_near_chance(tmp_path: Path) -> None:
    here = place(tmp_path, "{from: digits, normalize: {mean: [0.5], std: [0.5]}}")
    files = {name: tmp_path / f"r.{name}" for name in ("text", "markdown", "json", "junit", "github")}
    said = here.run(*[word for name, file in files.items() for word in ("--format", f"{name}={file}")])
    assert said.code == 1, "random weights do not reach the accuracy of the target"
    for name, file in files.items():
        assert "x/255, then (− 0.5)/0.5, from the recipe" in file.read_text(), name
    text = files["text"].read_text()
    assert "warning: float: is near chance level:" in text
    assert "`float` is near chance level (see its warning).  4 of 5 required budgets met, 1 exceeded" in text
    assert "near chance level (see its warning)" in files["markdown"].read_text().splitlines()[0]
