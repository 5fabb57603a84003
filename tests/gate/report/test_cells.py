"""A finding as cells."""

from __future__ import annotations

import pytest
from edgepress.gate.judge import Finding
from edgepress.gate.report.cells import cells


@pytest.mark.parametrize("name", ["accuracy", "map", "map50", "macro_f1", "worst_recall"])
def test_a_lower_limit_has_no_used_share(name: str) -> None:
    finding = Finding("t", name, "required", "FAIL", 0.3, "share", 0.28, (0.27, 0.29), "measured")
    assert cells(finding) == (name, "28.0%", "at least 30.0%", "", "[27.0–29.0]  −2.0%")
