"""What quantizing decided, in words."""

from __future__ import annotations

from typing import Any

import pytest
from edgepress.stages.quantize.summary import lines

LADDER = [
    {"step": "ranges: mse", "decibels": 37.01, "kept": True},
    {"step": "ranges: minmax", "decibels": 33.39, "kept": False},
    {"step": "equalisation", "decibels": 35.0, "kept": False},
    {"step": "rounding", "decibels": 37.5, "kept": True},
]
RESTORED = [
    {"node": "conv_1", "operator": "Conv", "decibels": 3.2, "bytes": 1200, "seconds": 1.5e-5},
    {"node": "conv_9", "operator": "Conv", "decibels": 0.4, "bytes": -30, "seconds": None},
]
SPEED = {
    "chosen": "mixed 1",
    "tried": {"int8": [1.13, 1.1, 1.2], "mixed 1": [0.85, 0.8, 0.9], "weights alone": [1.0, 0.98, 1.03]},
    "operators": {"int8": 3, "float": 7},
    "slower": {"Conv": 5, "HardSwish": 2},
}


@pytest.mark.parametrize(
    ("notes", "words"),
    [
        ({}, []),
        ({"agreement": 0.99}, []),
        (
            {"ladder": LADDER},
            ["ranges by mse (SQNR 37.0 dB), GPTQ rounding +0.5 dB; did not help: cross-layer equalization"],
        ),
        (
            {"restored": RESTORED},
            [
                "mixed precision, in float to keep the accuracy: conv_1 (Conv, +3.2 dB, +1.2 kB, +0.015 ms), "
                "conv_9 (Conv, +0.4 dB, −30 B)"
            ],
        ),
        (
            {"speed": SPEED},
            [
                "on this processor 3 of 10 operators are int8, 0.85x [0.80–0.90] of the float source's time; mixed "
                "precision: the others compute in float with int8 weights, since they are slower as int8, or their "
                "conversions are (5 Conv, 2 HardSwish); int8 1.13x [1.10–1.20], weights alone 1.00x [0.98–1.03]"
            ],
        ),
        (
            {"speed": SPEED | {"chosen": "int8"}},
            ["int8 takes 1.13x [1.10–1.20] of its float source's time here; weights alone 1.00x [0.98–1.03]"],
        ),
        (
            {"speed": SPEED | {"chosen": "int8", "tried": {"int8": [0.47, 0.47, 0.47]}}},
            ["int8 takes 0.47x of its float source's time here"],
        ),
        (
            {"float": 88.1, "xnnpack": {"static": 80.0, "trained": 87.5, "kept": "trained"}},
            ["xnnpack by QAT, on held-out validation examples: 80.0 before training, 87.5 after, kept"],
        ),
    ],
)
def test_each_decision_is_told(notes: dict[str, Any], words: list[str]) -> None:
    assert list(lines(notes)) == words
