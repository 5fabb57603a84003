"""Store the weights of recurrent operators as int8 where that is accurate.

GRU, LSTM and RNN have no integer form and compute in float. Rounding errors of their weights add up over the steps of a
sequence, and more so where the features of an input have very different ranges.
"""

from __future__ import annotations

from dataclasses import replace

from .qdq import Plan
from .sqnr import Evidence

OPERATORS = ("GRU", "LSTM", "RNN")
CLEAN = 40.0
"""SQNR in dB that suffices: an error of 1% of the outputs."""
COSTS = 1.0
"""Decibels that packing may cost below that."""


def packed(plan: Plan, evidence: Evidence) -> tuple[Plan, dict[str, object] | None]:
    """Return the plan with int8 or float32 weights of recurrent operators, and a row on it; None without any."""
    tensors = {tensor.name for tensor in plan.graph.graph.initializer}
    names = {
        node.name
        for node in plan.graph.graph.node
        if node.op_type in OPERATORS and node.name not in plan.exact and node.input[1] in tensors
    }
    if not names:
        return plan, None
    smaller = replace(plan, floats=plan.floats | names)
    whole = replace(smaller, exact=plan.exact | names)
    decibels = evidence.sqnr(smaller)
    kept = decibels >= min(CLEAN, evidence.sqnr(whole) - COSTS)
    row = {"step": "recurrent weights as int8", "decibels": round(decibels, 2), "kept": kept}
    return (smaller if kept else whole), row
