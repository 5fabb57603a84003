"""A function of the user's: what it may return, and that its module hides no other."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from edgepress import Examples
from edgepress.core.errors import UserError
from edgepress.data import dataset
from edgepress.data.load import load_dataset
from edgepress.data.source import Source

HEAD = "import numpy as np\nfrom edgepress import Dataset, Examples, Input\nfrom edgepress.data.dataset import Split\n"


def load(folder: Path, code: str, **options: object) -> dataset.Dataset:
    (folder / "mine.py").write_text(HEAD + code)
    return load_dataset(Source.model_validate({"from": "./mine.py:load", **options}), base=folder)


def test_examples_without_labels_have_no_classes(tmp_path: Path) -> None:
    code = """
def load():
    return Examples(np.random.default_rng(0).normal(size=(40, 3, 40)), np.zeros(40, int), labelled=False)
"""
    found = load(tmp_path, code)
    assert (found.labelled, found.labels) == (False, ())


def test_examples(tmp_path: Path) -> None:
    code = """
def load(count, *, noise=0.0):
    x = np.random.default_rng(0).normal(noise, 1, (count, 3, 40))
    return Examples(x, np.arange(count) % 3, ("a", "b", "c"), groups=np.arange(count) // 2)
"""
    found = load(tmp_path, code, args={"count": 60, "noise": 5})
    assert (found.name, found.labels, found.input.kind, found.input.shape) == (
        "mine",
        ("a", "b", "c"),
        "series",
        (3, 40),
    )
    assert found.input.mean[0] == pytest.approx(5, abs=0.2)
    again = load(tmp_path, code, args={"count": 60, "noise": 5}, split={"validation": "20%", "test": "20%"})
    assert len(again["validation"].y) == 12


def test_kinds_can_be_said_where_types_do_not_tell(tmp_path: Path) -> None:
    code = 'def load(): return Examples(np.arange(60).reshape(20, 3), np.arange(20) % 2, kinds={"input": "numbers"})\n'
    found = load(tmp_path, code)
    assert (found.input.kind, found["train"].x.dtype) == ("numbers", np.float32)


def test_several_inputs(tmp_path: Path) -> None:
    code = """
from edgepress.core.columns import joined
def load():
    x = {"words": np.arange(80).reshape(20, 4), "picture": np.zeros((20, 8, 8), np.uint8)}
    return Examples(joined(x), np.arange(20) % 2)
"""
    found = load(tmp_path, code)
    assert [(each.name, each.kind, each.shape) for each in found.inputs] == [
        ("words", "tokens", (4,)), ("picture", "image", (1, 8, 8)),
    ]  # fmt: skip


DIGITS = "from edgepress.data.load import load_dataset\ndef load():\n    d = load_dataset('digits')\n"


def test_a_data_set_is_taken_as_it_is(tmp_path: Path) -> None:
    code = f"{DIGITS}    return d\n"
    assert load(tmp_path, code).digest == load_dataset("digits").digest
    with pytest.raises(UserError, match="gives its splits"):
        load(tmp_path, code, split={"test": "30%"})
    with pytest.raises(UserError, match="a Dataset without test"):
        load(tmp_path, f'{DIGITS}    del d.splits["test"]\n    return d\n')


def test_what_a_data_set_has_beside_the_splits_is_noted(tmp_path: Path) -> None:
    found = load(tmp_path, f'{DIGITS}    d.splits["more"] = d.splits["test"]\n    return d\n')
    assert found.notes == ("`./mine.py:load`: the splits `more` are not read",)
    spoilt = 'd.splits["train"] = d.splits["train"]._replace(x=d["train"].x[:3])'
    with pytest.raises(UserError, match="`train` has 3 examples, and 1078 labels"):
        load(tmp_path, f"{DIGITS}    {spoilt}\n    return d\n")


def test_a_module_called_as_another_hides_it_not(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text(HEAD + "def load(): return Examples(np.eye(9), np.arange(9) % 2)\n")
    before = sys.modules.get("json")
    load_dataset(Source.model_validate({"from": "./json.py:load"}), base=tmp_path)
    assert sys.modules.get("json") is before


def test_the_file_is_read_anew_each_time(tmp_path: Path) -> None:
    for count in (9, 12):
        found = load(tmp_path, f"def load(): return Examples(np.eye({count}), np.arange({count}) % 2)\n")
        assert found.input.shape == (count,)


def test_only_the_users_own_mistakes_are_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        load(tmp_path, "def load(): raise KeyboardInterrupt\n")


@pytest.mark.parametrize("moments", ["", ", (0, 0), (1, 1)", ", (0,) * 3, (0,) * 3", ", (np.nan,), (1,)"])
def test_a_data_set_says_how_each_input_is_normalized(tmp_path: Path, moments: str) -> None:
    code = (
        "def load():\n    split = Split(np.zeros((9, 3, 4), np.float32), np.arange(9) % 2)\n"
        '    splits = dict.fromkeys(("train", "validation", "test"), split)\n'
        f'    return Dataset("d", ("a", "b"), splits, (Input("wave", "series", (3, 4), 1.0{moments}),))\n'
    )
    with pytest.raises(UserError, match=r"input `wave` has . means and . deviations, and 3 each are needed"):
        load(tmp_path, code)


FORMER = """from pipeline import data
from pipeline.data.examples import Examples
import pipeline.data.divide


def load():
    assert data.Dataset and pipeline.data.divide.SPLITS
    import numpy as np
    return Examples(np.eye(9), np.arange(9) % 2)
"""


def test_the_former_name_of_the_package_works_with_a_note(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`pipeline.data.examples.Examples` is what the documentation said until 0.1."""
    (tmp_path / "my_data.py").write_text(FORMER)
    found = load_dataset(Source.model_validate({"from": "./my_data.py:load"}), base=tmp_path)
    assert sum(len(split.y) for split in found.splits.values()) == 9
    assert capfd.readouterr().err.splitlines() == [
        f"note: {tmp_path}/my_data.py:1: the package is called `edgepress` now: "
        "`from edgepress import Dataset, Examples, Input`",
        f"note: {tmp_path}/my_data.py:2: the package is called `edgepress` now: `from edgepress import Examples`",
        f"note: {tmp_path}/my_data.py:3: the package is called `edgepress` now: "
        "`from edgepress import Dataset, Examples, Input`",
    ]


def test_a_package_of_the_users_that_has_the_former_name_is_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline/__init__.py").write_text("COUNT = 9\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "pipeline"]:
        monkeypatch.delitem(sys.modules, name)
    code = "from pipeline import COUNT\ndef load(): return Examples(np.eye(COUNT), np.arange(COUNT) % 2)\n"
    assert len(load(tmp_path, code)["test"].y) == 2
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("task", [None, "regression", "image"])
def test_targets_of_examples_without_labels_are_not_read(task: dataset.Task | None) -> None:
    """A float `y` made a regression of them, whose metrics count by labels, and which agreement cannot score."""
    x = np.zeros((40, 3, 8, 8), np.uint8)
    for y in (np.zeros(40, np.float32), np.zeros((40, 1, 8, 8)), np.full(40, None)):
        examples = Examples(x, y, task=task, labelled=False).checked("mine")
        assert (examples.task, examples.labels, examples.y.tolist()) == ("single-label", (), [0] * 40)
