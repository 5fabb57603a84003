"""The table of campaigns."""

from __future__ import annotations

from tests.torture.bench import Campaign
from tests.torture.campaigns import (
    disk,
    kills,
    memory,
    onnx_models,
    permission,
    recipes,
    reports,
    signals,
    tflite_models,
)

LIBRARIES = (
    "edgepress.commands.main",
    "edgepress.config.recipe",
    "edgepress.engine.run",
    "edgepress.stages",
    "edgepress.gate.judge",
    "edgepress.commands.why.layers",
    "edgepress.commands.bench",
    "edgepress.models.session",
    "torch",
    "onnx",
    "onnxruntime",
    "onnxsim",
    "onnxscript",
    "sklearn.datasets",
    "scipy.stats",
    "ai_edge_litert.interpreter",
    "ai_edge_litert.schema_py_generated",
)
"""What commands import: a zygote has it before its forks."""

CAMPAIGNS = {
    campaign.name: campaign
    for campaign in (
        Campaign("recipes", "mutated recipes and targets", 10_000, recipes.prepare, recipes.trial, forks=True),
        Campaign("reports", "mutated reports", 2_000, reports.prepare, reports.trial, forks=True),
        Campaign("onnx", "mutated and hostile ONNX files", 2_000, onnx_models.prepare, onnx_models.trial, forks=True),
        Campaign("tflite", "mutated TFLite files", 2_000, tflite_models.prepare, tflite_models.trial, forks=True),
        Campaign("kills", "kills", 56, kills.prepare, kills.trial),
        Campaign("signals", "interrupted commands", 200, signals.prepare, signals.trial),
        Campaign("disk", "full disks", len(disk.POINTS), disk.prepare, disk.trial),
        Campaign(
            "permission",
            "permissions and wrong kinds of files",
            len(permission.FAULTS),
            permission.prepare,
            permission.trial,
        ),
        Campaign("memory", "limits of memory", len(memory.LIMITS), memory.prepare, memory.trial),
    )
}
