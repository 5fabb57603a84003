"""Numbers as a report writes them."""

from __future__ import annotations

import pytest
from edgepress.gate.judge import Unit
from edgepress.gate.report.wording import interval_text


@pytest.mark.parametrize(
    ("interval", "unit", "shown"),
    [
        ((110000.0, 135000.0), "metric", "[1.1e+05–1.35e+05]"),
        ((-2e-5, 1e-5), "metric", "[−2e−05 to 1e−05]"),
        ((0.5, 0.75), "metric", "[0.5–0.75]"),
        ((0.038, 0.042), "seconds", "[38–42]"),
        ((0.9, 1.2), "seconds", "[900 ms–1.2 s]"),
        ((-0.6, 2.1), "points", "[−0.60 to 2.10]"),
        ((0.5, float("inf")), "metric", "[0.5–inf]"),
    ],
)
def test_an_interval_leaves_out_its_unit_and_nothing_of_its_numbers(
    interval: tuple[float, float], unit: Unit, shown: str
) -> None:
    assert interval_text(interval, unit) == shown
