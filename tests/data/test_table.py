"""CSV: numbers, images beside it, both; the three tasks; the ways that programs write one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edgepress.core.errors import UserError
from edgepress.data.dataset import Dataset
from edgepress.data.load import load_dataset
from edgepress.data.source import Source

from .made import photos, table

ROWS = [f"{i},{i / 4},{'red' if i % 3 else 'blue'}" for i in range(30)]


def load(path: Path, **options: object) -> Dataset:
    return load_dataset(Source.model_validate({"from": path.name, **options}), base=path.parent)


def test_numbers(tmp_path: Path) -> None:
    found = load(table(tmp_path / "t.csv", ["a,b,label", *ROWS]))
    assert (found.task, found.labels, found.input.kind, found.input.shape) == (
        "single-label", ("blue", "red"), "numbers", (2,),
    )  # fmt: skip
    for x, y in found.splits.values():
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        np.testing.assert_array_equal(x[:, 1], x[:, 0] / 4)
        np.testing.assert_array_equal(y, x[:, 0] % 3 > 0)


def test_chosen_columns_and_a_group(tmp_path: Path) -> None:
    rows = ["a,note,b,who,label", *[f"{i},text,{i},w{i % 10},{i % 2}" for i in range(40)]]
    found = load(table(tmp_path / "t.csv", rows), columns=["b"], group="who")
    assert found.input.shape == (1,)
    people = [set((split.x[:, 0] % 10).tolist()) for split in found.splits.values()]
    assert sum(map(len, people)) == len(set().union(*people)) == 10


@pytest.mark.parametrize("way", ["bom", "semicolons", "tabs", "crlf", "quotes", "blank lines"])
def test_as_programs_write_it(tmp_path: Path, way: str) -> None:
    plain = load(table(tmp_path / "t.csv", ["a,b,label", *ROWS]))
    text = "\n".join(["a,b,label", *ROWS]) + "\n"
    change = {
        "bom": "\ufeff" + text, "semicolons": text.replace(",", ";"), "tabs": text.replace(",", "\t"),
        "crlf": text.replace("\n", "\r\n"), "quotes": text.replace("red", '"red"'), "blank lines": text + "\n\n",
    }  # fmt: skip
    (tmp_path / "t.csv").write_text(change[way], encoding="utf-8", newline="")
    assert load(tmp_path / "t.csv").digest == plain.digest


def test_images_beside_it(tmp_path: Path) -> None:
    photos(tmp_path / "p")
    rows = [f"p/{label}/{n:02}.png,{label}y,{n % 5}" for label in ("cat", "dog") for n in range(10)]
    listed = table(tmp_path / "t.csv", ["file,kind,who", *rows])
    found = load(listed, image="file", label="kind", group="who")
    assert (found.labels, found.input.kind, found.input.shape) == (("caty", "dogy"), "image", (3, 12, 12))
    (tmp_path / "p" / "cat" / "00.png").write_text("spoilt")
    fewer = load(listed, image="file", label="kind", unreadable="skip")
    assert sorted(np.concatenate([split.y for split in fewer.splits.values()]).tolist()) == [0] * 9 + [1] * 10


def test_images_and_numbers_are_two_inputs(tmp_path: Path) -> None:
    photos(tmp_path / "p", each=12)
    rows = [f"p/{label}/{n:02}.png,{label},{n},{n * n}" for label in ("cat", "dog") for n in range(12)]
    listed = table(tmp_path / "t.csv", ["file,kind,n,nn", *rows])
    found = load(listed, image="file", label="kind", columns=["n", "nn"])
    assert [(each.name, each.kind, each.shape) for each in found.inputs] == [
        ("image", "image", (3, 12, 12)), ("numbers", "numbers", (2,)),
    ]  # fmt: skip
    image, numbers = found.to_model_inputs(found["train"].x)
    assert (image.shape[1:], numbers.shape[1:], image.dtype) == ((3, 12, 12), (2,), np.float32)
    np.testing.assert_array_equal(found["test"].x["numbers"][:, 1], found["test"].x["numbers"][:, 0] ** 2)
    assert abs(float(numbers.mean())) < 0.01


def test_labels_in_one_cell(tmp_path: Path) -> None:
    rows = ["a,label", *[f"{i},{'|'.join(name for bit, name in enumerate('xyz') if i >> bit & 1)}" for i in range(40)]]
    found = load(table(tmp_path / "t.csv", rows), task="multi-label")
    assert (found.task, found.labels) == ("multi-label", ("x", "y", "z"))
    for x, y in found.splits.values():
        np.testing.assert_array_equal(y, x.astype(int) >> np.arange(3) & 1)


def test_labels_in_several_columns(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", ["a,p,q", *[f"{i},{i % 2},{i % 3 % 2}" for i in range(30)]])
    found = load(path, label=["p", "q"])
    assert (found.task, found.labels, found["train"].y.dtype) == ("multi-label", ("p", "q"), np.uint8)
    two = load(table(path, ["a,p,q", *[f"{i},{i / 2},{i}" for i in range(30)]]), label=["p", "q"])
    assert (two.task, two["train"].y.shape) == ("regression", (21, 2))


@pytest.mark.parametrize(
    ("cells", "option", "task", "labels"),
    [
        ("{i}.5", None, "regression", ("label",)),
        ("{i}", "regression", "regression", ("label",)),
        ("{m}", None, "single-label", ("0", "1", "10", "11")),
        ("1.{m}", "single-label", "single-label", ("1.0", "1.1", "1.10", "1.11")),
    ],
)
def test_the_task_is_told_by_the_labels(
    tmp_path: Path, cells: str, option: str | None, task: str, labels: tuple[str, ...]
) -> None:
    rows = ["a,label", *[f"{i}," + cells.format(i=i, m=f"{i % 4:b}") for i in range(40)]]
    found = load(table(tmp_path / "t.csv", rows), **({"task": option} if option else {}))
    assert (found.task, found.labels) == (task, labels)


def test_classes_that_are_numbers_are_in_their_order(tmp_path: Path) -> None:
    rows = ["a,label", *[f"{i},{i % 12}" for i in range(60)]]
    assert load(table(tmp_path / "t.csv", rows)).labels == tuple(map(str, range(12)))


@pytest.mark.parametrize("way", ["semicolons", "quotes", "tabs", "hint", "thousands"])
def test_decimal_commas(tmp_path: Path, way: str) -> None:
    """As Excel writes numbers in half of Europe."""
    plain = [(f"{i}", f"{i * 1000 + 0.25}" if way == "thousands" else f"{i / 4}") for i in range(30)]
    expected = load(table(tmp_path / "t.csv", ["a,b,label", *[f"{a},{b},{int(a) % 2}" for a, b in plain]]))
    written = [f"{i}.000,25" if i else "0,25" for i in range(30)] if way == "thousands" else []
    cells = [(a, written[int(a)] if written else b.replace(".", ",")) for a, b in plain]
    separator = {"tabs": "\t", "quotes": ","}.get(way, ";")
    rows = [separator.join([a, f'"{b}"' if way == "quotes" else b, str(int(a) % 2)]) for a, b in cells]
    head = ["sep=;"] * (way == "hint") + [separator.join(["a", "b", "label"])]
    assert load(table(tmp_path / "t.csv", head + rows)).digest == expected.digest


def test_a_quantity_with_decimal_commas_is_no_class(tmp_path: Path) -> None:
    found = load(table(tmp_path / "t.csv", ["a;label", *[f"{i};{i},5" for i in range(30)]]))
    assert found.task == "regression"
    np.testing.assert_allclose(found["train"].y[:, 0], found["train"].x[:, 0] + 0.5)
    quoted = table(tmp_path / "t.csv", ["a,label", *[f'{i},"{i},5"' for i in range(30)]])
    np.testing.assert_allclose(load(quoted, task="regression")["train"].y, found["train"].y)


def test_text_with_commas_stays_text(tmp_path: Path) -> None:
    rows = ["a,label", *[f'{i},"{"tench, Tinca" if i % 2 else "crane, bird"}"' for i in range(30)]]
    assert load(table(tmp_path / "t.csv", rows)).labels == ("crane, bird", "tench, Tinca")


def test_the_hint_of_excel_moves_the_lines(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", ["sep=;", "a;label", "1;x", "oops;y"])
    with pytest.raises(UserError, match="line 4 `oops`"):
        load(path)
