"""Which budgets are lower limits, as their descriptions say and as they are judged."""

from __future__ import annotations

import pytest
from edgepress.config.budgets import Budgets
from edgepress.config.target import Target
from edgepress.core.results import ModelFile
from edgepress.gate.checks import _CHECKS, AT_LEAST, check

from tests.gate.report.test_text import report, stage


def test_every_budget_has_a_check_and_says_which_limit_it_is() -> None:
    assert set(_CHECKS) == set(Budgets.model_fields)
    lowest = {name for name, field in Budgets.model_fields.items() if "lowest" in str(field.description)}
    assert lowest == AT_LEAST


@pytest.mark.parametrize("name", sorted(name for name, (unit, *_) in _CHECKS.items() if unit == "share"))
def test_a_share_above_a_lower_limit_is_met_and_above_an_upper_one_exceeded(name: str) -> None:
    metric = name if name.startswith("map") else "accuracy"
    file = ModelFile(
        path="q.onnx", kind="onnx", precision="x86", bytes=1, sha256="", scores={"test": {metric: 0.9}},
        correct="1" * 90 + "0" * 10, resampled=[0.9] * 1000, operators={"Conv": 9, "Add": 1},
        bounds=dict.fromkeys(("macro_f1", "worst_recall"), (0.9, 0.85, 0.95)),
    )  # fmt: skip
    told = report([stage("s", "train", [], 1, 1, file)], [], metric=metric, data={"images": {"test": 100}})
    target = Target.model_validate(
        {"name": "t", "runtime": "onnxruntime", "supports": ["Add"], "budgets": {name: "50%"}}
    )
    found = check(told, target, name, getattr(target.budgets, name), file)
    assert found.value == 0.9
    assert found.status == ("ok" if name in AT_LEAST else "FAIL")
