from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from edgepress.commands import catalog
from edgepress.config.budgets import Budgets
from edgepress.core import names
from edgepress.core.errors import Place, Problem, UserError, near, suggest
from edgepress.core.metrics import METRICS
from edgepress.core.presets import PRESETS
from edgepress.data.dataset import NAMES
from edgepress.stages import TABLE

LINE = "  temprature: 4"
PLACE = Place(Path("recipes/mine.yaml"), 6, 3, 10, LINE)


def test_a_problem_shows_the_line_the_place_and_the_next_act() -> None:
    assert str(Problem("unknown option `temprature`", "did you mean `temperature`?", PLACE)) == (
        "recipes/mine.yaml:6:3: unknown option `temprature`\n"
        "   6 |   temprature: 4\n"
        "     |   ^^^^^^^^^^\n"
        "     = help: did you mean `temperature`?"
    )


def test_a_problem_without_a_place() -> None:
    assert str(Problem("no device", "plug one in")) == "error: no device\n  = help: plug one in"
    assert str(Problem("no device")) == "error: no device"


@pytest.mark.parametrize(
    ("source", "column", "width", "carets"),
    [
        ("\tname: x", 2, 4, "\t^^^^"),
        ("a: 数字, b: 1", 8, 1, "         ^"),
        ("a: 数字", 4, 2, "   ^^^^"),
        ("a: b", 5, 1, "    ^"),
        ("", 1, 1, "^"),
        ("a: b", 4, 99, "   ^"),
    ],
)
def test_carets_stand_under_what_is_wrong(source: str, column: int, width: int, carets: str) -> None:
    assert Place(Path("x"), 1, column, width, source).excerpt() == (source, carets)


def test_a_long_line_is_cut_around_the_place() -> None:
    source, carets = Place(Path("x"), 1, 5001, 3, "-" * 5000 + "bad" + "-" * 5000).excerpt()
    assert len(source) <= 160
    assert source[carets.index("^") : len(carets)] == "bad"


def test_every_problem_is_in_the_message() -> None:
    error = UserError([Problem("one"), Problem("two", place=PLACE)])
    assert str(error).startswith("error: one\n\nrecipes/mine.yaml:6:3: two\n")
    assert UserError("one", "help").problems == [Problem("one", "help")]


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("temprature", ["temperature", "teacher"], "temperature"),
        ("LR", ["lr", "epochs"], "lr"),
        ("mobilenetv2_05", ["mobilenetv2_035", "mobilenetv2_050", "mobilenetv2_075"], "mobilenetv2_050"),
        ("zebra", ["temperature"], None),
        ("", ["a"], None),
        ("a", [], None),
    ],
)
def test_near(word: str, known: list[str], meant: str | None) -> None:
    assert near(word, known) == meant


def test_suggest_lists_what_is_known_when_nothing_is_near() -> None:
    assert suggest("zebra", ["b", "a"]) == "one of: a, b"
    assert suggest("zebra", ["b", "a"], "write a path") == "write a path"
    assert suggest("zebra", []) == ""
    assert suggest("ab", ["abc", "xyz"]) == "did you mean `abc`?"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("quantise quantize quant quantization ptq int8 static quantise.static", "quantize.static"),
        ("qat aware quantize_aware", "quantize.aware"),
        ("kd KD distil distill distillation knowledge-distillation distill.kb", "distill.kd"),
        ("onnx export", "export.onnx"),
        ("tflite convert", "convert.tflite"),
        ("prune pruning channels prune.chanels", "prune.channels"),
        ("fuse fusion ensemble", "fuse.ensemble"),
        ("soup fuse.soup", "fuse.soup.uniform"),
        ("trian training finetune", "train"),
        ("detect nothing qqq", None),
    ],
)
def test_the_first_suggestion_for_a_stage_is_the_usual_one(words: str, meant: str | None) -> None:
    assert {word: near(word, TABLE) for word in words.split()} == dict.fromkeys(words.split(), meant)


def test_a_family_is_suggested_whole() -> None:
    said = suggest("quantise", TABLE)
    assert said.startswith("did you mean `quantize.static`? others: quantize.aware, quantize.dynamic, ")
    assert suggest("quantise.dynamic", TABLE) == "did you mean `quantize.dynamic`?"


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (tuple(METRICS), {"f1": "macro-f1", "macro_f1": "macro-f1", "acc": "accuracy", "mse": None, "map": "map"}),
        (NAMES, {"mnist": "fashion-mnist", "digit": "digits", "cifar10": None}),
        (tuple(catalog.files("targets")), {"pi-4": "raspberry-pi-4", "orin": "jetson-orin-nano", "hots": "host"}),
        (tuple(catalog.files("targets")), {"raspbery": "raspberry-pi-4", "rapsberry-pi": "raspberry-pi-4"}),
        ((*catalog.files("recipes"), *TABLE), {"distil": "distill.kd", "mobil": "mobilenet", "conv": "convert.tflite"}),
        (
            tuple(catalog.files("recipes")),
            {"mobilnet-imagefolder": "mobilenet-imagefolder", "efficientnet": "efficientnet-lite", "xylophone": None},
        ),
        (tuple(Budgets.model_fields), {"latency_ms": "latency", "mem": "memory", "ram": "memory", "filesize": "size"}),
        (
            tuple(TABLE["train"].model_fields),
            {"batch_size": "batch", "num_epochs": "epochs", "learning_rate": "lr", "weightdecay": "weight_decay"},
        ),
        (tuple(PRESETS), {"avx2": "x86-avx2", "xnpack": "xnnpack", "vnni": None}),
        (names.zoo(), {"resnet_18": "resnet18", "efficientnet-b0": "efficientnet_b0", "yolo": None}),
    ],
)  # fmt: skip
def test_names_of_every_kind(known: Iterable[str], words: dict[str, str | None]) -> None:
    assert {word: near(word, known) for word in words} == words
