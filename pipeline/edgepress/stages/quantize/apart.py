"""Keep the channel groups of an output apart: one int8 scale for all would drown the small ones.

Pixels from 0 to 640 and scores from 0 to 1 in one tensor share steps of 2.5, in which every score is 0. The groups are
found from ranges alone, see `core.likeness`. The operator that joins them computes in float, so that each of its inputs
has a scale of its own; an operator with weights that makes several groups by itself is in float, its weights too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...core import likeness
from ...core.columns import joined
from ...models.onnx.uint8 import WEIGHTED
from .qdq import Plan
from .sqnr import Evidence, watched

_NAMED = 4
_EXAMPLES = 32
"""Held-out examples whose ranges are looked at."""


def drowned(evidence: Evidence) -> dict[str, list[str]]:
    """Return output → names of the nodes to compute in float, from those of several channel groups back."""
    graph = evidence.model.graph
    makers = {name: node for node in graph.node for name in node.output}
    several = dict.fromkeys(group.output for group in evidence.groups if not group.every)
    found: dict[str, list[str]] = {}
    for output in several:
        waiting, nodes = [output], list[str]()
        while waiting:
            name = waiting.pop()
            node = makers.get(name)
            if node is None or node.name in nodes or not _has_groups(evidence, name):
                continue
            nodes.append(node.name)
            if node.op_type not in WEIGHTED:
                waiting += node.input
        found[output] = nodes
    return found


def applied(plan: Plan, evidence: Evidence) -> Plan:
    """Return the plan with these nodes in float, with float weights."""
    if not evidence.apart:
        return plan
    weighted = {node.name for node in plan.graph.graph.node if node.op_type in WEIGHTED}
    return replace(plan, floats=plan.floats | evidence.apart, exact=plan.exact | (evidence.apart & weighted))


def note(evidence: Evidence) -> list[dict[str, Any]]:
    """Return a row for each output with several channel groups: the groups with their ranges, and what is in float."""
    types = {node.name: node.op_type for node in evidence.model.graph.node}
    return [
        {
            "output": output,
            "groups": [
                {"channels": group.places, "low": group.low, "high": group.high}
                for group in evidence.groups
                if group.output == output
            ],
            "nodes": [{"node": name, "operator": types[name]} for name in nodes],
        }
        for output, nodes in evidence.drowned.items()
    ]


def warning(evidence: Evidence, outputs: np.ndarray, preset: str, keep: float | None) -> str | None:
    """Return a warning that names the channel groups whose likeness falls by more than `keep` points, or by one."""
    rows = likeness.rows(outputs, evidence.expected, evidence.model.graph.output[0].name) if evidence.grouped else []
    least = 1 - (1.0 if keep is None else keep) / 100
    lost = [row for row in rows if not row["constant"] and (row["likeness"] is None or row["likeness"] < least)]
    if not lost:
        return None
    words = "; ".join(
        f"{row['group']} from {row['low']:.3g} to {row['high']:.3g}, SQNR {row['sqnr']:.1f} dB" for row in lost[:_NAMED]
    )
    more = f"; and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
    why = " One scale for ranges that differ so drowns the smaller ones" if evidence.apart else ""
    return f"in {preset} these outputs are lost in noise on held-out examples: {words}{more}.{why}".rstrip(".")


def _has_groups(evidence: Evidence, name: str) -> bool:
    if name in {value.name for value in evidence.model.graph.output}:
        return True
    rows = (columns for columns in zip(*(column[:_EXAMPLES] for column in evidence.held), strict=True))
    try:
        values = [tensors[0] for tensors in watched(evidence.model, [name], rows)]
    except KeyError:  # a tensor without a known type
        return False
    array = np.stack(values)
    array = array[:, 0] if array.ndim > 1 and array.shape[1] == 1 else array
    return array.dtype.kind == "f" and len(likeness.groups(joined({name: array}))) > 1
