"""What pydantic says of small models, in the words and at the places of the file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from edgepress.core import yamlio
from edgepress.core.errors import Mistake, UserError
from edgepress.core.units import Seconds, Share
from edgepress.core.validation import validated
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, model_validator


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Inner(Strict):
    depth: int = Field(default=1, ge=1, le=9)
    low: float = 0
    high: float = 1

    @model_validator(mode="after")
    def _ordered(self) -> Inner:
        if self.low > self.high:
            raise Mistake("`low` is above `high`", "swap them")
        return self


class Named(Strict):
    arch: str = Field(pattern="^zoo/", description="a network, `zoo/NAME`")

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return {"arch": value} if isinstance(value, str) else value


class A(Strict):
    use: Literal["a"]
    source: str | None = Field(default=None, alias="from")
    ratio: Annotated[Share, Field(gt=0, lt=1)] | None = None
    time: Seconds | None = None
    inner: Inner = Inner()
    either: int | Literal["auto"] | Inner | None = None
    pair: tuple[int, int] | None = None
    words: tuple[str, ...] | list[int] | None = None
    sizes: dict[str, int] | None = None
    network: Named | None = None
    flag: bool = False
    color: Literal["red", "green"] = "red"
    items: tuple[str, ...] = Field(default=("x",), min_length=1)


class B(Strict):
    use: Literal["b.long.name"]


class Top(Strict):
    name: str
    stages: list[Annotated[A | B, Field(discriminator="use")]] = []
    count: int = Field(default=1, description="how many")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("t.yaml")


def problems(path: Path, text: str) -> list[str]:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        validated(yamlio.read(path), Top)
    return [
        f"{p.place.line}:{p.place.column}+{p.place.width} {p.message} | {p.help}"
        for p in caught.value.problems
        if p.place
    ]


OPTIONS = {
    "colour: red": "22+6 unknown option `colour` | did you mean `color`?",
    "form: x": "22+4 unknown option `form` | did you mean `from`?",
    "source: x": "22+6 unknown option `source` | "
    "one of: color, either, flag, from, inner, items, network, pair, ratio, sizes, time, use, words",
    "from: 3": "28+1 `from`: write text, got `3` | put it in quotes: `'3'`",
    "from: [a]": "28+3 `from`: write text, got a list | ",
    "ratio: 0.3": "29+3 `ratio`: a number needs a unit here, got `0.3` | for example `30%`",
    "ratio: 30": "29+2 `ratio`: a number needs a unit here, got `30` | for example `30%`",
    "ratio: 100%": "29+4 `ratio`: write less than 100%, got `100%` | ",
    "time: 5 sec": "28+5 `time`: `sec` is not a unit that fits here, got `5 sec` | did you mean `5 s`?",
    "inner: 3": "29+1 `inner`: write a mapping of options, got `3` | ",
    "inner: [1]": "29+3 `inner`: write a mapping of options, got a list | ",
    "inner: {depht: 1}": "30+5 unknown option `depht` | did you mean `depth`?",
    "inner: {depth: 0}": "37+1 `depth`: write 1 or more, got `0` | ",
    "inner: {depth: 10}": "37+2 `depth`: write 9 or less, got `10` | ",
    "inner: {depth: '3'}": "37+3 `depth`: write a whole number, got `'3'` | take the quotes away",
    "inner: {depth: 3.0}": "37+3 `depth`: write a whole number, got `3.0` | write `3`",
    "inner: {depth: 3.5}": "37+3 `depth`: write a whole number, got `3.5` | ",
    "inner: {depth: true}": "37+4 `depth`: write a whole number, got `true` | ",
    "inner: {low: .nan}": "35+4 `low`: write a number, got `.nan` | ",
    "inner: {low: .inf}": "35+4 `low`: write a number, got `.inf` | ",
    "inner: {low: 3}": "29+8 `inner`: `low` is above `high` | swap them",
    "either: 1.5": "30+3 `either`: write a whole number or write `auto` or write a mapping of options, got `1.5` | ",
    "either: atuo": "30+4 `either`: write a whole number or write `auto` or write a mapping of options, got `atuo` | "
    "did you mean `auto`?",
    "either: {depth: a}": "38+1 `depth`: write a whole number, got `a` | ",
    "either: {dept: 1}": "31+4 unknown option `dept` | did you mean `depth`?",
    "pair: [1, b]": "32+1 `pair`: write a whole number, got `b` | ",
    "pair: [1, 2, 3]": "28+9 `pair`: write 2 or less, got 3 | ",
    "words: a": "29+1 `words`: write a list, got `a` | did you mean `[a]`?",
    "sizes: {a: b}": "33+1 `a`: write a whole number, got `b` | ",
    "network: resnet": "31+6 `network`: this text is not allowed here, got `resnet` | a network, `zoo/NAME`",
    "network: {arch: resnet}": "38+6 `arch`: this text is not allowed here, got `resnet` | a network, `zoo/NAME`",
    "network: {}": "31+2 missing option `arch` | a network, `zoo/NAME`",
    "network: {arhc: zoo/x}": "32+4 unknown option `arhc` | did you mean `arch`?",
    "flag: yes": "28+3 `flag`: write `true` or `false`, got `yes` | write `true`",
    "flag: off": "28+3 `flag`: write `true` or `false`, got `off` | write `false`",
    "flag: 1": "28+1 `flag`: write `true` or `false`, got `1` | write `true`",
    "flag: maybe": "28+5 `flag`: write `true` or `false`, got `maybe` | ",
    "flag:": "27+1 `flag`: write `true` or `false`, got nothing | ",
    "color: blue": "29+4 `color`: write `red` or `green`, got `blue` | ",
    "color: gren": "29+4 `color`: write `red` or `green`, got `gren` | did you mean `green`?",
    "items: []": "29+2 `items`: write 1 or more, got 0 | ",
    "items: [a, 3]": "33+1 `items`: write text, got `3` | put it in quotes: `'3'`",
}


@pytest.mark.parametrize("option", OPTIONS)
def test_each_kind_of_mistake(here: Path, option: str) -> None:
    text = "name: n\nstages:\n- {use: b.long.name}\n"
    assert problems(here, text + f"- {{use: a,           {option}}}\n") == [f"4:{OPTIONS[option]}"]


STAGES = {
    "{use: b.long.nam}": "3:9+10 unknown stage `b.long.nam` | did you mean `b.long.name`?",
    "{use: zzz}": "3:9+3 unknown stage `zzz` | one of: a, b.long.name",
    "{use: 3}": "3:9+1 `use`: write the name of a stage, got `3` | one of: a, b.long.name",
    "{use: }": "3:8+1 `use`: write the name of a stage, got nothing | one of: a, b.long.name",
    "{use: [a]}": "3:9+3 `use`: write the name of a stage, got a list | one of: a, b.long.name",
    "{usse: a}": "3:3+9 missing option `use` | did you mean `use` for `usse`?",
    "{b.long.name: }": "3:3+15 missing option `use` | write `use: b.long.name`, with its options beside it",
    "{}": "3:3+2 missing option `use` | name what the stage does: `use: NAME`, one of: a, b.long.name",
    "b.long.name": "3:3+11 write a stage, got `b.long.name` | did you mean `use: b.long.name`?",
    "[a]": "3:3+3 write a stage, got a list | name what the stage does: `use: NAME`, one of: a, b.long.name",
    "": "3:2+1 write a stage, got nothing | name what the stage does: `use: NAME`, one of: a, b.long.name",
}


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_no_stage(here: Path, stage: str) -> None:
    assert problems(here, f"name: n\nstages:\n- {stage}\n") == [STAGES[stage]]


def test_all_problems_come_at_once_in_the_order_of_the_file(here: Path) -> None:
    text = (
        "conut: 3\nstages:\n- {use: c}\n- {use: a, flag: no, inner: {depth: 0, x: 1}}\n- use: a\n  ratio: 3\nname: 3\n"
    )
    assert [each.partition(" | ")[0] for each in problems(here, text)] == [
        "1:1+5 unknown option `conut`",
        "3:9+1 unknown stage `c`",
        "4:18+2 `flag`: write `true` or `false`, got `no`",
        "4:37+1 `depth`: write 1 or more, got `0`",
        "4:40+1 unknown option `x`",
        "6:10+1 `ratio`: a number needs a unit here, got `3`",
        "7:7+1 `name`: write text, got `3`",
    ]


def test_a_misspelt_option_is_not_missing_as_well(here: Path) -> None:
    assert problems(here, "nmae: n\n") == ["1:1+4 unknown option `nmae` | did you mean `name`?"]
    assert len(problems(here, "zzzz: n\n")) == 2


def test_a_long_value_is_cut(here: Path) -> None:
    (told,) = problems(here, f"name: n\ncount: {'x' * 200}\n")
    assert told.startswith("2:8+200 `count`: write a whole number, got `" + "x" * 59 + "…`")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1:1+1 the file is empty | it needs `name:`"),
        ("# x\n---\n", "1:1+1 the file is empty | it needs `name:`"),
        ("- a\n", "1:1+3 the file must be a mapping of options, got a list | it needs `name:`"),
        ("text\n", "1:1+4 the file must be a mapping of options, got `text` | it needs `name:`"),
        ("{}\n", "1:1+2 missing option `name` | "),
    ],
)
def test_a_file_that_is_no_mapping(here: Path, text: str, told: str) -> None:
    assert problems(here, text) == [told]


def test_whole_numbers_are_numbers_and_lists_are_tuples(here: Path) -> None:
    here.write_text(
        "name: n\nstages:\n- {use: a, ratio: 50%, inner: {high: 3}, pair: [1, 2], network: zoo/x, from: f}\n"
    )
    (stage,) = validated(yamlio.read(here), Top).stages
    assert isinstance(stage, A)
    assert (stage.ratio, stage.inner.high, stage.pair, stage.source) == (0.5, 3, (1, 2), "f")
    assert stage.network == Named(arch="zoo/x")


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["a", "30%", "auto", "", "no", "b.long.name"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*A.model_fields, "use", "from", "depth", "arch", "name", "stages", "x"]), inner
        )
    ),
    max_leaves=10,
)


@given(values)
def test_any_data_is_a_model_or_told_at_a_place_in_the_file(
    tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    text = yamlio.dump({"name": "n", "stages": [{"use": "a", "inner": data}, data], "count": data})
    path.write_text(text, encoding="utf-8")
    try:
        validated(yamlio.read(path), Top)
    except UserError as error:
        for problem in error.problems:
            assert problem.place is not None
            assert problem.place.source == text.splitlines()[problem.place.line - 1]
            assert str(problem)
