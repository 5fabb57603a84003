"""A model that was accepted, to hold the next ones against: its files, and what was found out about them.

`edgepress accept RECIPE` writes `accepted/NAME/`: the file that each target judged, and `accepted.json`. The folder is
what CI commits or keeps in its artifact store, and what `edgepress run RECIPE --baseline accepted/NAME` reads.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from . import gate
from .errors import UserError
from .facts import Facts, ModelFile, Report
from .paths import digest, replacing
from .target import Target

NAME = "accepted.json"


class Accepted(Facts):
    """`files` by target, with paths from the folder; `data_sha256` is of the test examples that they were scored on."""

    version: Literal[1] = 1
    recipe: str
    date: str
    metric: str
    data_sha256: str
    files: dict[str, ModelFile]


def accept(report: Report, targets: list[Target], folder: Path) -> list[Path]:
    """Copy the judged file of every target to `folder`, and write what is known of them; the files' paths.

    The record is written last: a folder without it is no accepted model. Raises: UserError.
    """
    if report.limited is not None:
        raise UserError("a smoke run is no evidence", f"`edgepress run {report.source}` without --limit")
    files: dict[str, ModelFile] = {}
    for target in targets:
        file = gate.judged(report, target)
        if file is None:
            continue
        source = Path(file.path)
        if not source.is_file() or digest(source) != file.sha256:
            raise UserError(
                f"`{source}` is not what the last run made", f"`edgepress run {report.source}` makes it anew"
            )
        with replacing(folder / source.name) as temporary:
            shutil.copyfile(source, temporary)
        files[target.name] = file.model_copy(update={"path": source.name})
    if not files:
        raise UserError("no target judges a file of this run", "name one under `targets:`")
    record = Accepted(
        recipe=report.recipe,
        date=report.date,
        metric=report.metric,
        data_sha256=str(report.data["sha256"]),
        files=files,
    )
    with replacing(folder / NAME) as temporary:
        temporary.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
    current = {file.path for file in files.values()} | {NAME}
    for path in folder.iterdir():
        if path.suffix in (".onnx", ".tflite") and path.name not in current:  # of an earlier acceptance
            path.unlink()
    return [folder / name for name in sorted(current - {NAME})]


def read(folder: Path, metric: str, data_sha256: str) -> dict[str, ModelFile]:
    """By target, the accepted file with its path; scores on other test examples are left out. Raises: UserError."""
    path = folder / NAME
    if not path.is_file():
        raise UserError(f"`{folder}` holds no accepted model", "`edgepress accept RECIPE` writes one after a run")
    try:
        record = Accepted.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise UserError(f"`{path}` is damaged, or from another version of edgepress", "accept a run again") from error
    same = (record.metric, record.data_sha256) == (metric, data_sha256)
    unscored = {} if same else {"scores": {}, "correct": "", "resampled": []}
    found = {}
    for name, file in record.files.items():
        model = folder / Path(file.path).name
        if not model.is_file() or digest(model) != file.sha256:
            raise UserError(f"`{model}` is missing, or not the file that was accepted", "accept a run again")
        found[name] = file.model_copy(update={"path": str(model), **unscored})
    return found
