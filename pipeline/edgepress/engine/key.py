"""Name everything that shapes the result of a step: the key of its cache entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..config.chain import Step, sources
from ..core import keep, paths
from ..core.presets import saturates
from ..models import pretrained
from .cache import Entry

if TYPE_CHECKING:
    from .engine import Engine

FORMAT = 3
"""Raised when what an entry of the cache holds changes, so that old entries are made anew."""
MEASURING = ("ai-edge-litert", "onnx", "onnxruntime", "onnxscript", "onnxsim")
"""What every result is exported and scored with, beside the libraries that its stage uses."""


def material(engine: Engine, step: Step, entries: dict[str, Entry]) -> dict[str, Any]:
    """Return everything that shapes the result of a step."""
    stage = step.stage
    return {
        "format": FORMAT,
        "stage": [stage.use, stage.version],
        "options": stage.model_dump(mode="json", by_alias=True, exclude={"name", "input"}),
        "inputs": [entries[label].facts["digests"] for label in sources(step)],
        "files": {name: paths.digest(pretrained.find(name, engine.recipe.document.path)) for name in stage.files()},
        "data": engine.data.digest,
        "metric": [engine.metric.name, *engine.metric.key] if engine.metric.key else engine.metric.name,
        **_against(engine, entries),
        "seed": engine.recipe.task.seed,
        # What is faster on one processor is not on another; times of this one may shape the result.
        "presets": [*engine.presets, engine.machine.cpu] if stage.per_preset else (),
        # Where sums of 8-bit products are cut off, weights may have fewer bits and files answer otherwise.
        **({"saturates": True} if "onnxruntime" in stage.libraries and saturates(engine.machine) else {}),
        **_conditions(engine, step, entries),
        "versions": {n: version for n, version in engine.versions.items() if n in stage.libraries or n in MEASURING},
        **codes(engine, step, entries),
    }


def floor(engine: Engine, entries: dict[str, Entry]) -> float | None:
    """Return the least metric on validation that `keep` allows, in points (an error times 100).

    Stages decide by that split alone.
    """
    limit, reference = engine.recipe.keep.limit(), entries.get(engine.recipe.reference_label())
    if limit is None or reference is None:
        return None
    value: float = reference.facts["files"][0]["scores"]["validation"][engine.metric.name]
    if engine.metric.higher:
        return 100 * value - limit[1]
    return 100 * keep.grown(engine.metric, value, limit[1], engine.data["validation"].y)


def _conditions(engine: Engine, step: Step, entries: dict[str, Entry]) -> dict[str, Any]:
    """Return what shapes a quantized result beside its options; without any, keys stay what they were."""
    stage, conditions = step.stage, dict[str, Any]()
    keeps = getattr(stage, "keep", None) is not None
    lowest = floor(engine, entries) if stage.per_preset and (engine.metric.higher or keeps) else None
    if lowest is not None:
        conditions["floor"] = lowest
    if keeps and (engine.metric.name == "agreement" or not engine.metric.higher):
        conditions["keep"] = "likeness" if engine.metric.higher else "share of the error"
    if stage.calibrated and step.input:
        from ..models.onnx.export import holds_fills
        from ..stages.quantize.newer import newer

        source = entries[step.input]
        path = source.folder / source.facts["files"][0]["path"]
        if holds_fills(path):
            conditions["fills"] = True
        if hasattr(stage, "improve"):
            conditions |= newer(path)
    return conditions


def _against(engine: Engine, entries: dict[str, Entry]) -> dict[str, Any]:
    """Return the reference of `agreement`, once it exists."""
    reference = entries.get(engine.recipe.reference_label())
    return {"reference": reference.facts["digests"]} if reference and engine.metric.name == "agreement" else {}


def codes(engine: Engine, step: Step, entries: dict[str, Entry]) -> dict[str, dict[str, str]]:
    """Return as `code` the digest of each file that builds a network of this step or of its input; else nothing.

    Weights alone do not tell what `forward` does with them, so the code goes along with them until the export.
    """
    digests = {network.arch: engine.code[network.arch].digest for network in step.stage.networks() if network.own}
    if step.stage.takes in (None, "torch"):
        for label in sources(step):
            digests |= entries[label].facts.get("code", {})
    return {"code": digests} if digests else {}
