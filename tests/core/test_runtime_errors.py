"""Errors of onnxruntime, as they come, in words."""

from pathlib import Path

import pytest
from edgepress.core.runtime_errors import cannot_run, reason

ALLOCATION = (
    "onnxruntime.capi.onnxruntime_pybind11_state.Fail: [ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned "
    "while running ConstantOfShape node. Name:'k' Status Message: /onnxruntime_src/onnxruntime/core/framework/"
    "bfc_arena.cc:360 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to "
    "allocate memory for requested buffer of size 8589934592"
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ALLOCATION, "node `k` (ConstantOfShape): it needs 8.59 GB at once"),
        (
            "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Div node. Name:'node_6' "
            "Status Message: element_wise_ops.cc:703 Compute Integer division by zero",
            "node `node_6` (Div): Compute Integer division by zero",
        ),
        (
            "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : At least one output should be requested.",
            "At least one output should be requested.",
        ),
        ("std::bad_alloc", "it needs more memory than it may take"),
    ],
)
def test_the_node_and_the_reason(text, words):
    assert reason(RuntimeError(text)) == words


def test_what_needs_memory_has_a_next_act_of_its_own():
    file, act = Path("a.onnx"), "export it anew"
    assert "EDGEPRESS_LIMITS" in cannot_run(file, RuntimeError(ALLOCATION), act).problems[0].help
    found = cannot_run(file, RuntimeError("no such operator"), act)
    assert str(found) == "error: onnxruntime cannot run `a.onnx`: no such operator\n  = help: export it anew"
