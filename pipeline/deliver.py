"""The files that leave the pipeline: `runs/NAME/models/`, each with its metadata contract beside it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from . import metadata, operators
from .engine import Engine, Result
from .facts import ModelFile, StageFacts
from .paths import digest, replacing
from .scores import bounds, worst


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
        _copy(artifact.path, folder / f"{label}.safetensors")
        return facts.model_copy(update={"files": [regrouped(engine, result, file) for file in facts.files]})
    files = []
    for file in facts.files:
        preset = f".{file.precision}" if artifact.presets else ""
        path = folder / f"{label}{preset}{artifact.path.suffix}"
        _copy(Path(file.path), path)
        contract = metadata.read(path) | {"source": source}
        with replacing(path.with_name(f"{path.name}.json")) as temporary:
            temporary.write_text(json.dumps(contract, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        files.append(known(engine, result, file).model_copy(update={"path": str(path)}))
    return facts.model_copy(update={"files": files})


def known(engine: Engine, result: Result, file: ModelFile) -> ModelFile:
    """`file` of a finished step with all that budgets ask about: operators, versions, intervals."""
    answers, path = np.load(result.entry.folder / f"{file.precision}.npy"), Path(file.path)
    found, y = operators.operators(path), engine.scored["test"].y
    more = {"operators": found.every, "real": found.real, **_versions(path)}
    more |= {"bounds": bounds(answers, y, engine.data.groups), "worst": worst(answers, y, engine.data.labels)}
    return regrouped(engine, result, file).model_copy(update=more)


def regrouped(engine: Engine, result: Result, file: ModelFile) -> ModelFile:
    """`file` with its metric drawn by the groups of the test examples, where the data has groups.

    The entry of the cache has it drawn by example, since groups are no part of its key.
    """
    groups = engine.data.groups
    if groups is None or not file.resampled:
        return file

    def facts(folder: Path, scratch: Path) -> dict[str, Any]:
        answers = np.load(result.entry.folder / f"{file.precision}.npy")
        return {"resampled": engine.metric.resampled(answers, engine.scored["test"].y, groups)}

    material = {"by group": groups.tolist(), "of": [result.entry.key, file.precision]}
    found = engine.cache.make(material, facts).facts
    return file.model_copy(update={**found, "drawn": int(groups.max()) + 1})


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
