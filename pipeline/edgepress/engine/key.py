"""Name everything that shapes the result of a step: the key of its cache entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..config.chain import Step, sources
from ..core import keep, machine, paths
from ..core.presets import saturates
from ..models import pretrained
from .cache import Entry

if TYPE_CHECKING:
    from pathlib import Path

    from ..stage import Stage
    from .setup import Setup

FORMAT = 3
"""Raised when what an entry of the cache holds changes, so that old entries are made anew."""
MEASURING = ("ai-edge-litert", "onnx", "onnxruntime", "onnxscript", "onnxsim")
"""What every result is exported and scored with, beside the libraries that its stage uses."""


def material(setup: Setup, step: Step, entries: dict[str, Entry]) -> dict[str, Any]:
    """Return everything that shapes the result of a step."""
    stage = step.stage
    return {
        "format": FORMAT,
        "stage": [stage.use, stage.version],
        "options": stage.model_dump(mode="json", by_alias=True, exclude={"name", "input"}),
        "inputs": [entries[label].facts["digests"] for label in sources(step)],
        "files": named_files(stage, setup.recipe.document.path),
        "data": setup.data.digest,
        # The digest of a file is not that of its pixels, which its decoder makes.
        **({"decoder": machine.versions(["pillow", "torchvision"])} if setup.data.lazy else {}),
        "metric": [setup.metric.name, *setup.metric.key] if setup.metric.key else setup.metric.name,
        **_against(setup, entries),
        "seed": setup.recipe.task.seed,
        # What is faster on one processor is not on another; times of this one may shape the result.
        "presets": [*setup.presets, setup.machine.cpu] if stage.per_preset else (),
        # Where sums of 8-bit products are cut off, weights may have fewer bits and files answer otherwise.
        **({"saturates": True} if "onnxruntime" in stage.libraries and saturates(setup.machine) else {}),
        **_conditions(setup, step, entries),
        "versions": {n: version for n, version in setup.versions.items() if n in stage.libraries or n in MEASURING},
        **codes(setup, step, entries),
    }


def named_files(stage: Stage, recipe: Path) -> dict[str, str]:
    """Return the digests of the files that a stage's options name, and of weights that lie beside them."""
    digests: dict[str, str] = {}
    for name in stage.files():
        path = pretrained.find(name, recipe)
        digests[name] = paths.digest(path)
        if path.suffix == ".onnx":
            from ..models.onnx.external_data import beside  # its imports take longer than a plan without such a file

            digests |= {f"{name}: {each}": paths.digest(file) for each, file in beside(path).items()}
    return digests


def floor(setup: Setup, entries: dict[str, Entry]) -> float | None:
    """Return the least metric on validation that `keep` allows, in points (an error times 100, decibels as they are).

    Stages decide by that split alone.
    """
    limit, reference = setup.recipe.keep.limit(), entries.get(setup.recipe.reference_label())
    if limit is None or reference is None:
        return None
    value: float = reference.facts["files"][0]["scores"]["validation"][setup.metric.name]
    if setup.metric.higher:
        return setup.metric.points * value - limit[1]
    return 100 * keep.grown(setup.metric, value, limit[1], setup.data["validation"].y)


def _conditions(setup: Setup, step: Step, entries: dict[str, Entry]) -> dict[str, Any]:
    """Return what shapes a result beside its options; without any, keys stay what they were."""
    stage, conditions = step.stage, dict[str, Any]()
    if getattr(stage, "decode", None) is not None and not setup.data.labels:
        conditions["boxes"] = "described"  # files from before have no description
    keeps = getattr(stage, "keep", None) is not None
    lowest = floor(setup, entries) if stage.per_preset and (setup.metric.higher or keeps) else None
    if lowest is not None:
        conditions["floor"] = lowest
    if keeps and (setup.metric.name == "agreement" or not setup.metric.higher):
        conditions["keep"] = "likeness" if setup.metric.higher else "share of the error"
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


def _against(setup: Setup, entries: dict[str, Entry]) -> dict[str, Any]:
    """Return the reference of `agreement`, once it exists."""
    reference = entries.get(setup.recipe.reference_label())
    return {"reference": reference.facts["digests"]} if reference and setup.metric.name == "agreement" else {}


def codes(setup: Setup, step: Step, entries: dict[str, Entry]) -> dict[str, dict[str, str]]:
    """Return as `code` the digest of each file that builds a network of this step or of its input; else nothing.

    Weights alone do not tell what `forward` does with them, so the code goes along with them until the export.
    """
    digests = {network.arch: setup.code[network.arch].digest for network in step.stage.networks() if network.own}
    if step.stage.takes in (None, "torch"):
        for label in sources(step):
            digests |= entries[label].facts.get("code", {})
    return {"code": digests} if digests else {}
