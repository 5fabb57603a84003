"""Write the delivered models, `runs/NAME/models/`, with their metadata.

The folder may hold what is the user's, too: `SHA256SUMS` says which files are the pipeline's to replace or delete.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from ..core import ownership, temporary
from ..core.metric_functions import predicted as classes
from ..core.metric_intervals import bounds, worst
from ..core.paths import digest, replacing
from ..core.presets import PRESETS
from ..core.results import ModelFile, Report, StageFacts
from ..core.system_errors import naming
from ..data import text
from ..models import delivery, metadata, operators
from . import by_class
from .dense import is_dense, redrawn
from .engine import Engine, Result

OTHER = "move it away, or choose another `--runs`"


def known(folder: Path, before: Report | None) -> ownership.Known:
    """Return the files that earlier runs delivered to `folder`.

    `SHA256SUMS` lists them; a version that wrote none left only the report `before` of its run. Raises: UserError.
    """
    if (recorded := ownership.read(folder)) is not None:
        return recorded
    stages = before.stages if before else []
    models = [(Path(file.path).name, file.sha256) for stage in stages if stage.kind != "torch" for file in stage.files]
    more = [f"{name}.json" for name, _ in models] + [
        f"{stage.name}.safetensors{more}" for stage in stages if stage.kind == "torch" for more in ("", ".json")
    ]
    there = [(name, digest(folder / name)) for name in more if (folder / name).is_file()]  # no digest was kept of them
    return ownership.together([*models, *there])


def free(engine: Engine, folder: Path, known: ownership.Known) -> None:
    """Refuse to start where a file of somebody else has a name that this run may write. Raises: UserError."""
    names = [
        f"{step.label}{preset}.{step.kind}{more}" if step.kind != "torch" else f"{step.label}.safetensors{more}"
        for step in engine.recipe.steps()
        for preset in ("", *(f".{name}" for name in PRESETS))
        for more in ("", ".json")
    ]
    ownership.free(folder, dict.fromkeys(names), known, OTHER)


def deliver(engine: Engine, folder: Path, lock: Path | None, known: ownership.Known) -> list[StageFacts]:
    """Write every model of a finished run to `folder`; return the facts of the delivered files.

    Delivered ONNX and TFLite files have the metadata of others beside ours, so that their bytes are not the cache's.

    Of `known`, the files of earlier runs, those that this run does not replace are deleted. `SHA256SUMS` names every
    file before it is written: a killed run leaves none that a later one would not know.
    A torch model's facts keep the path of its float view in the cache: that is a measure, not a product.
    """
    source = {"recipe": engine.recipe.name, "lock": digest(lock) if lock else None}
    files: dict[str, Path | bytes] = {}
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with temporary.folder_in(folder) as scratch:
            delivered = []
            for label, result in engine.results.items():
                facts, made = _facts(label, result, folder, scratch, engine, source)
                delivered.append(facts)
                files |= made
            _write(folder, files, known)
    return delivered


def _write(folder: Path, files: dict[str, Path | bytes], known: ownership.Known) -> None:
    current = ownership.together((name, _digest(content)) for name, content in files.items())
    every = ownership.together([*ownership.items(known), *ownership.items(current)])
    ownership.free(folder, files, every, OTHER)
    ownership.write(folder, every)
    for name, content in files.items():
        with replacing(folder / name) as written:
            if isinstance(content, bytes):
                written.write_bytes(content)
            else:
                shutil.copyfile(content, written)
    ownership.remove(folder, known, keep=files)
    ownership.write(folder, current)


def _digest(content: Path | bytes) -> str:
    return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else digest(content)


def _facts(
    label: str, result: Result, folder: Path, scratch: Path, engine: Engine, source: dict[str, Any]
) -> tuple[StageFacts, dict[str, Path | bytes]]:
    """Return the report's facts of a stage, and what is to be written for it, by name; models are made in `scratch`."""
    artifact, facts = result.artifact, result.facts
    files: dict[str, Path | bytes] = {}
    if artifact.kind == "torch":
        files[f"{label}.safetensors"] = artifact.path
        # The float view has run: it knows the sides that are the network's choice.
        measured = metadata.read(Path(facts.files[0].path))
        kept = {name: measured[name] for name in ("outputs", "decode") if name in measured}
        contract = metadata.describe(engine.data) | kept
        contract |= {"source": source, "sha256": digest(artifact.path)}
        files[f"{label}.safetensors.json"] = _json(contract)
        found = [regrouped(engine, result, file) for file in facts.files]
        return facts.model_copy(update={"files": [_by_class(engine, result, file) for file in found]}), files
    model_files = []
    for file in facts.files:
        cached = Path(file.path)
        preset = f".{file.precision}" if artifact.presets else ""
        name = f"{label}{preset}{artifact.path.suffix}"
        contract = metadata.read(cached)
        words = text.known_words() if engine.recipe.task.data == text.NAME else []
        made = delivery.deliver(cached, contract, scratch / name, engine.recipe.name, words)
        files |= {name: made, f"{name}.json": _json(contract | {"source": source})}
        own = {"path": str(folder / name), "bytes": made.stat().st_size, "sha256": digest(made)}
        model_files.append(detailed(engine, result, file).model_copy(update=own))
    return facts.model_copy(update={"files": model_files}), files


def _json(contract: dict[str, Any]) -> bytes:
    return (json.dumps(contract, indent=1, sort_keys=True) + "\n").encode()


def detailed(engine: Engine, result: Result, file: ModelFile) -> ModelFile:
    """Return `file` with all that budgets need: operators, versions, intervals."""
    outputs, path = np.load(result.entry.folder / f"{file.precision}.npy"), Path(file.path)
    counts, y = operators.operators(path), engine.scored["test"].y
    more = {"operators": counts.every, "real": counts.real, **_versions(path)}
    if engine.data.targets.classes:  # identities are numbers too, and no outputs are theirs
        more |= {"bounds": bounds(outputs, y, engine.data.groups), "worst": worst(outputs, y, engine.data.labels)}
    return _by_class(engine, result, regrouped(engine, result, file)).model_copy(update=more)


def _by_class(engine: Engine, result: Result, file: ModelFile) -> ModelFile:
    """Return `file` with the recall of each class, and the classes that it takes for others most often.

    Masks and boxes are counted once, and kept in the cache: all of the split's would be read again for each file.
    """
    data, y = engine.data, engine.scored["test"].y
    if not data.labelled or not data.labels or len(data.labels) > by_class.CLASSES:
        return file
    predicted = result.entry.folder / f"{file.precision}.npy"
    if data.targets.classes and y.ndim == 1:
        counted = by_class.of_classes(classes(np.load(predicted)), y[:], data.labels)
        return file.model_copy(update=counted._asdict())
    if not is_dense(data) or data.task not in _COUNTED:
        return file

    def facts(folder: Path, scratch: Path) -> dict[str, Any]:
        return _COUNTED[data.task](np.load(predicted), y[:], data.labels)._asdict()

    found = engine.cache.make({"by class": 1, "of": [result.entry.key, file.precision]}, facts).facts
    return ModelFile.model_validate(file.model_dump() | found)


_COUNTED = {"segmentation": by_class.of_classes, "detection": by_class.of_boxes}


def regrouped(engine: Engine, result: Result, file: ModelFile) -> ModelFile:
    """Return `file` with its metric drawn by the groups of the test examples, if there are any.

    The entry of the cache has it drawn by example, since groups are no part of its key.
    """
    groups = engine.data.groups
    if groups is None or not file.resampled:
        return file

    def facts(folder: Path, scratch: Path) -> dict[str, Any]:
        if is_dense(engine.data):
            more = (result.entry.folder, Path(file.path), file.precision, engine.data, engine.metric, groups)
            return {"resampled": redrawn(*more)}
        outputs = np.load(result.entry.folder / f"{file.precision}.npy")
        return {"resampled": engine.metric.resampled(outputs, engine.scored["test"].y, groups)}

    material = {"by group": groups.tolist(), "of": [result.entry.key, file.precision]}
    drawn = engine.cache.make(material, facts).facts
    return file.model_copy(update={**drawn, "drawn": int(groups.max()) + 1})


def _versions(path: Path) -> dict[str, int]:
    """Return the versions that decide which runtimes load an ONNX file."""
    if path.suffix != ".onnx":
        return {}
    import onnx

    model = onnx.load(path)
    return {"opset": max(opset.version for opset in model.opset_import if not opset.domain), "ir": model.ir_version}
