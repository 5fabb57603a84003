"""The definitions: balanced, no text in two splits, and tokens as a device makes them from the shipped vocabulary."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from edgepress.core.errors import UserError
from edgepress.data import text
from edgepress.data.dataset import Dataset
from edgepress.data.load import load_dataset

ROWS = [line.split("\t") for line in gzip.decompress(text.FILE.read_bytes()).decode().splitlines()]


@pytest.fixture(scope="module")
def loaded() -> Dataset:
    return load_dataset("text")


def test_balanced_and_shuffled(loaded: Dataset) -> None:
    for name, size in text.SIZES.items():
        x, y = loaded[name]
        assert np.bincount(y).tolist() == [size] * 8
        assert set(y[:100].tolist()) == set(range(8))
        assert (x.dtype, y.dtype, x.shape[1:]) == (np.int64, np.int64, loaded.input.shape)
        assert 0 <= x.min() <= x.max() < loaded.input.vocabulary
        assert (x[:, 0] > 0).all(), "padding is behind the words"


def test_no_definition_is_in_two_splits() -> None:
    texts = [" ".join(text.split(row[2])) for row in ROWS]
    of = [{t for t, row in zip(texts, ROWS, strict=True) if row[0] == name} for name in text.SIZES]
    assert sum(map(len, of)) == len(set.union(*of))


def test_vocabulary_is_of_the_training_texts_alone(loaded: Dataset) -> None:
    stored = json.loads(text.VOCABULARY.read_text())
    assert stored["words"] == text.vocabulary([row[2] for row in ROWS if row[0] == "train"])
    assert stored["length"] == text.LENGTH
    assert 0.05 < (loaded["test"].x == 1).sum() / (loaded["test"].x > 0).sum() < 0.2, "some words are new"


def test_tokens() -> None:
    words = ["<padding>", "<unknown>", "a", "dog", "s", "35"]
    found = text.tokens(["A dog's 35", "café", "", "a-a_a dog dog"], words, length=4)
    assert found.tolist() == [[2, 3, 4, 5], [1, 0, 0, 0], [0, 0, 0, 0], [2, 2, 2, 3]]


def test_vocabulary_counts_texts_and_breaks_ties_by_letter() -> None:
    assert text.vocabulary(["b a a", "a b c c", "a", "c d"])[2:] == ["a", "b", "c"]


def test_definitions_leave_examples_and_repetitions_out(tmp_path: Path) -> None:
    lines = [
        "  1 This software and database | licence",
        '00000001 05 n 01 cur 0 001 @ 00000009 n 0000 | a dog of no breed; "that cur bit me"  ',
        "00000002 05 n 01 cur2 0 001 @i 00000008 n 0000 | a dog of no breed  ",
        "00000003 03 n 01 thing 0 000 | a separate and self-contained entity  ",
        "00000004 20 n 01 oak 0 001 @ 00000007 n 0000 | short one here  ",
        "00000005 20 n 01 elm 0 002 ~ 00000003 n 0000 @ 00000007 n 0000 | any of various trees; of the genus Ulmus  ",
    ]
    (tmp_path / "data.noun").write_text("\n".join(lines))
    assert list(text._definitions(tmp_path / "data.noun")) == [
        ("animal", "00000009", "a dog of no breed"),
        ("plant", "00000007", "any of various trees; of the genus Ulmus"),
    ]


def test_absent_wordnet_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.noun"):
        text.make(tmp_path)
