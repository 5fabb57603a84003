"""The table of campaigns."""

from __future__ import annotations

from tests.torture.bench import Campaign
from tests.torture.campaigns import recipes, reports

LIBRARIES = (
    "edgepress.commands.main", "edgepress.config.recipe", "edgepress.engine.run", "edgepress.stages", "edgepress.gate.judge",
    "edgepress.commands.why.layers", "edgepress.commands.bench", "edgepress.models.session", "torch", "onnx", "onnxruntime",
    "onnxsim", "onnxscript", "sklearn.datasets", "scipy.stats", "ai_edge_litert.interpreter", "ai_edge_litert.schema_py_generated",
)  # fmt: skip
"""What commands import: a zygote has it before its forks."""

CAMPAIGNS = {
    campaign.name: campaign
    for campaign in (
        Campaign("recipes", "mutated recipes and targets", 10_000, recipes.prepare, recipes.trial, LIBRARIES),
        Campaign("reports", "mutated reports", 2_000, reports.prepare, reports.trial, LIBRARIES),
    )
}
