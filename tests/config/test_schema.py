from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from edgepress.config import recipe, schema
from edgepress.core import names, yamlio
from edgepress.core.errors import UserError
from edgepress.core.validation import validated
from edgepress.stages import TABLE
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
RECIPE, TARGET = schema.schema(recipe.Recipe), schema.schema(schema.Target)
STAGES = {
    part["properties"]["use"]["const"]: part
    for part in RECIPE["$defs"].values()
    if "const" in part.get("properties", {}).get("use", {})
}


def check(contract: dict[str, Any], data: Any) -> list[jsonschema.ValidationError]:
    return list(jsonschema.Draft202012Validator(contract).iter_errors(data))


@pytest.mark.parametrize("path", schema.texts(), ids=lambda path: path.name)
def test_the_generated_files_are_fresh(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == schema.texts()[path], "run `python -m edgepress.config.schema`"


@pytest.mark.parametrize("contract", [RECIPE, TARGET])
def test_they_are_json_schemas(contract: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(contract)


@pytest.mark.parametrize(
    "path", sorted(set(ROOT.glob("recipes/*.yaml")) - set(ROOT.glob("recipes/*.lock.yaml"))), ids=lambda path: path.stem
)
def test_shipped_recipes_fit(path: Path) -> None:
    assert check(RECIPE, yamlio.read(path).data) == []


@pytest.mark.parametrize("path", sorted(ROOT.glob("targets/*.yaml")), ids=lambda path: path.stem)
def test_shipped_targets_fit(path: Path) -> None:
    assert check(TARGET, yamlio.read(path).data) == []


def test_every_stage_is_there_with_its_options() -> None:
    assert set(STAGES) == set(TABLE)
    for use, part in STAGES.items():
        assert part["additionalProperties"] is False
        assert "description" in part, f"{use} has no docstring"
        for name, option in part["properties"].items():
            assert name == "use" or "description" in option, f"`{name}` of {use} has no description"


def test_defaults_are_as_people_write_them() -> None:
    for part in [*STAGES.values(), *TARGET["$defs"].values()]:
        for option in part.get("properties", {}).values():
            if "default" in option and option.get("type") == "string":
                assert isinstance(option["default"], str)
    assert STAGES["prune.channels"]["properties"]["ratio"]["default"] == "30%"


def test_an_editor_refuses_what_the_loader_does() -> None:
    good: dict[str, Any] = {
        "name": "n",
        "task": {"data": "digits"},
        "stages": [{"use": "train", "model": "timm/resnet18"}],
    }
    assert check(RECIPE, good) == []
    for wrong in (
        {**good, "nmae": "x"},
        {**good, "name": "../x"},
        {**good, "stages": []},
        {**good, "keep": {"accuracy_drop": 1.5}},
        {**good, "stages": [{"use": "trian", "model": "timm/resnet18"}]},
        {**good, "stages": [{"use": "train", "modle": "timm/resnet18"}]},
    ):
        assert check(RECIPE, wrong), wrong


def unknown(text: str, path: Path) -> set[tuple[int, str]]:
    """Index of the stage and option of whatever the loader calls unknown."""
    path.write_text(text, encoding="utf-8")
    try:
        validated(yamlio.read(path), recipe.Recipe)
    except UserError as error:
        told = [p for p in error.problems if p.message.startswith("unknown")]
        return {(p.place.line, p.message.split("`")[1]) for p in told if p.place}
    return set()


options = sorted({name for part in STAGES.values() for name in part["properties"]} - {"use"})


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from([*STAGES, "trian"]), st.sets(st.sampled_from([*options, "modle", "lR"]), max_size=5)),
        min_size=1,
        max_size=3,
    )
)
def test_schema_and_loader_know_the_same_stages_and_options(
    tmp_path_factory: pytest.TempPathFactory, stages: list[tuple[str, set[str]]]
) -> None:
    lines = [json.dumps({"use": use, **dict.fromkeys(sorted(chosen), "x")}) for use, chosen in stages]
    text = "name: n\ntask: {data: digits}\nstages:\n" + "".join(f"  - {line}\n" for line in lines)
    expected: set[tuple[int, str]] = set()
    for line, (use, chosen) in enumerate(stages, start=4):
        known = STAGES[use]["properties"] if use in STAGES else {}
        expected |= {(line, name) for name in chosen if name not in known} if known else {(line, use)}
    assert unknown(text, tmp_path_factory.getbasetemp() / "known.yaml") == expected
    assert yaml.safe_load(text) == yamlio.read(tmp_path_factory.getbasetemp() / "known.yaml").data


def test_the_list_of_networks_is_fresh() -> None:
    for path, generated in schema.networks().items():
        kept = path.read_text(encoding="utf-8")
        # Another version of the package lists other networks.
        if kept.splitlines()[0] == generated.splitlines()[0]:
            assert kept == generated, "run `python -m edgepress.config.schema models`"
    assert "resnet18" in names.torchvision()
    assert "mobilenetv2_050" in names.zoo()
    assert all(name.strip() == name and not name.startswith("#") for name in names.zoo())
