"""The files that leave the pipeline: `runs/NAME/models/`, each with its metadata contract beside it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from . import metadata, operators
from .engine import Engine, Result
from .facts import StageFacts
from .paths import digest, replacing
from .scores import bounds


def deliver(engine: Engine, folder: Path, lock: Path | None) -> list[StageFacts]:
    """Copy every model of a finished run to `folder`; the facts, with the files' new paths.

    A torch model's facts keep the path of its float view in the cache: that is a measure, not a product.
    """
    source = {"recipe": engine.recipe.name, "lock": digest(lock) if lock else None}
    delivered = [_deliver(engine, label, result, folder, source) for label, result in engine.results.items()]
    current = {f"{label}." for label in engine.results}
    for path in folder.iterdir():
        if not path.name.startswith((*current, ".")):  # of a stage that the recipe no longer has
            path.unlink()
    return delivered


def _deliver(engine: Engine, label: str, result: Result, folder: Path, source: dict[str, Any]) -> StageFacts:
    artifact, facts = result.artifact, result.facts
    if artifact.kind == "torch":
        path = folder / f"{label}.safetensors"
        _copy(artifact.path, path)
        _beside(path, metadata.describe(engine.data) | {"source": source, "sha256": digest(path)})
        return facts
    files = []
    for file in facts.files:
        preset = f".{file.precision}" if artifact.presets else ""
        path = folder / f"{label}{preset}{artifact.path.suffix}"
        _copy(Path(file.path), path)
        _beside(path, metadata.read(path) | {"source": source})
        answers = np.load(result.entry.folder / f"{file.precision}.npy")
        found = operators.operators(path)
        more = {"operators": found.every, "real": found.real, "bounds": bounds(answers, engine.scored["test"].y)}
        files.append(file.model_copy(update={"path": str(path), **_versions(path), **more}))
    return facts.model_copy(update={"files": files})


def _beside(path: Path, contract: dict[str, Any]) -> None:
    with replacing(path.with_name(f"{path.name}.json")) as temporary:
        temporary.write_text(json.dumps(contract, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _versions(path: Path) -> dict[str, int]:
    """What decides which runtimes load an ONNX file."""
    if path.suffix != ".onnx":
        return {}
    import onnx

    model = onnx.load(path)
    return {"opset": max(each.version for each in model.opset_import if not each.domain), "ir": model.ir_version}


def _copy(source: Path, path: Path) -> None:
    with replacing(path) as temporary:
        shutil.copyfile(source, temporary)
