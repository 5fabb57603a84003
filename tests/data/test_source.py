"""The options: shorthand, defaults, the schema, and that validating imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from edgepress.core import yamlio
from edgepress.core.errors import UserError
from edgepress.core.validation import validated
from edgepress.data.source import Shares, Source
from pydantic import BaseModel

from .made import photos


class Task(BaseModel):
    data: Source


def written(folder: Path, text: str) -> Source:
    (folder / "mine.yaml").write_text(f"data: {text}\n")
    return validated(yamlio.read(folder / "mine.yaml"), Task).data


def test_shorthand(tmp_path: Path) -> None:
    photos(tmp_path / "photos")
    assert written(tmp_path, "./photos") == written(tmp_path, "{from: ./photos}") == Source(source="./photos")


def test_every_option_as_a_recipe_writes_it(tmp_path: Path) -> None:
    photos(tmp_path / "photos")
    (tmp_path / "t.csv").touch()
    (tmp_path / "mine.py").write_text("def load(): ...\n")
    found = written(
        tmp_path,
        "{from: ./photos, size: [96, 128], color: rgb, resize: pad, split: {validation: 15%, test: 25%}, "
        r"group: '(subject\d+)', unreadable: skip}",
    )
    assert (found.size, found.split, found.group) == ((96, 128), Shares(validation="15%", test="25%"), r"(subject\d+)")
    table = written(tmp_path, "{from: t.csv, image: path, label: [a, b], columns: [c], group: who, task: regression}")
    assert (table.kind, table.label, table.columns) == ("table", ("a", "b"), ("c",))
    assert written(tmp_path, "{from: 'mine.py:load', args: {n: 3, of: [1, 2]}}").args == {"n": 3, "of": [1, 2]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{from: ./photos, sise: 96}", "did you mean `size`?"),
        ("{from: ./photos, size: '96'}", "`size`"),
        ("{from: ./photos, size: 4}", "8 or more"),
        ("{from: ./photos, size: [96, 128, 3]}", "`size`"),
        ("{from: ./photos, color: gray}", "grey"),
        ("{from: ./photos, split: {test: 20}}", "a number needs a unit here"),
        ("{from: ./photos, split: {test: 0%}}", "a share is more than 0%"),
        ("{size: 96}", "missing option `from`"),
        ("./fotos", "there is no file or folder `./fotos`"),
        ("fashion-mnist-10", "did you mean `fashion-mnist-10k`?"),
    ],
)
def test_wrong_options(tmp_path: Path, text: str, words: str) -> None:
    photos(tmp_path / "photos", each=1)
    with pytest.raises(UserError) as error:
        written(tmp_path, text)
    assert words in str(error.value)


def test_the_schema_takes_both_forms() -> None:
    schema = Task.model_json_schema()
    for good in ("./photos", {"from": "./photos", "size": 96, "split": {"test": "20%"}}):
        jsonschema.validate({"data": good}, schema)
    for bad in (3, {"size": 96}, {"from": "./photos", "sise": 96}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"data": bad}, schema)


def test_every_option_is_described() -> None:
    for model in (Source, Shares):
        assert all(field.description for field in model.model_fields.values())


def test_validating_imports_nothing_heavy() -> None:
    code = "import sys, edgepress.data.source; print(sorted({'numpy', 'torch', 'PIL', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
