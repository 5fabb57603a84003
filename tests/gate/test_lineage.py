"""The float model that a result was quantized from."""

from __future__ import annotations

from edgepress.gate.lineage import last_float

from tests.gate.report.test_text import STAGES, file, report, stage


def test_it_is_above_the_result_and_no_other_float_file() -> None:
    beside = stage("float-tflite", "convert.tflite", ["student"], 1, None, file("f.tflite", "float32", 9, 0.9))
    found = report([*STAGES[:2], beside, *STAGES[2:]], [])
    for name in ("int8", "a-very-long-name-of-a-stage", "float-tflite"):
        above = last_float(found, name)
        assert above
        assert above.name == "student"
    above = last_float(found, "student")
    assert above
    assert above.name == "teacher"
    assert last_float(found, "teacher") is None
    assert last_float(found, "unknown") is None


def test_stages_in_a_circle_end() -> None:
    """No run writes them, and a report may be anybody's."""
    circle = [STAGES[2].model_copy(update={"inputs": ["other"]}), STAGES[3].model_copy(update={"name": "other"})]
    assert last_float(report(circle, []), "int8") is None
