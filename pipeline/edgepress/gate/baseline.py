"""Store an accepted model as a baseline, with its files and results.

`edgepress accept RECIPE` writes `accepted/NAME/`: the file that each target judged, and `accepted.json`. The folder is
what CI commits or keeps in its artifact store, and what `edgepress run RECIPE --baseline accepted/NAME` reads.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from ..config.target import Target
from ..core import ownership, stored
from ..core.errors import UserError
from ..core.metric import Metric
from ..core.paths import Destination, digest, replacing, require_writable
from ..core.printable import say, word
from ..core.results import Facts, ModelFile, Report
from . import judge

NAME = "accepted.json"
OTHER = "move it away, or choose another `--folder`"


class Accepted(Facts):
    """The record `accepted.json`.

    `files` are by target, with paths from the folder; `data_sha256` is of the test examples of their scores, and
    `metric_key` tells a metric of the user's own from an earlier one of its name.
    """

    version: Literal[1] = 1
    recipe: str
    date: str
    metric: str
    metric_key: list[Any] = Field(default_factory=list)
    data_sha256: str
    files: dict[str, ModelFile]


def accept(report: Report, targets: list[Target], folder: Path) -> list[Path]:
    """Copy the judged file of every target to `folder` with its record. Returns the files' paths.

    Only files of an earlier acceptance are replaced or deleted: those whose name and digest are in its record. The
    record is written last: a folder without it is no accepted model.
    Raises: UserError, before anything is written.
    """
    if report.limited is not None:
        raise UserError("a smoke run is no evidence", f"`edgepress run {report.source}` without --limit")
    files = {target.name: file for target in targets if (file := judge.judged(report, target))}
    if not files:
        raise UserError("no target judges a file of this run", "name one under `targets:`")
    sources = {Path(file.path).name: file for file in files.values()}
    for file in sources.values():
        if not Path(file.path).is_file() or digest(Path(file.path)) != file.sha256:
            help = f"move it away, and `edgepress run {report.source}` makes it anew"
            raise UserError(f"`{file.path}` is not what the last run made", help)
    before = _before(ownership.record(folder / NAME, ownership.ACCEPTED, OTHER))
    same = ownership.together((name, file.sha256) for name, file in sources.items())  # of one that was interrupted
    ownership.free(folder, sources, ownership.together([*ownership.items(before), *ownership.items(same)]), OTHER)
    require_writable(Destination(folder, "choose another `--folder`"))
    for name, file in sources.items():
        with replacing(folder / name) as temporary:
            shutil.copyfile(file.path, temporary)
    record = Accepted(
        recipe=report.recipe,
        date=report.date,
        metric=report.metric,
        metric_key=list(report.data.get("metric_key", ())),
        data_sha256=str(report.data["sha256"]),
        files={target: file.model_copy(update={"path": Path(file.path).name}) for target, file in files.items()},
    )
    with replacing(folder / NAME) as temporary:
        temporary.write_text(record.as_json(indent=1) + "\n", encoding="utf-8")
    ownership.remove(folder, before, keep=sources)
    return [folder / name for name in sorted(sources)]


def _before(path: Path) -> ownership.Known:
    """Return the files of the record `path`; none where it is missing or cannot be read."""
    try:
        record = Accepted.model_validate_json(path.read_bytes() if path.is_file() else b"")
    except ValidationError:
        return {}
    return ownership.together((file.path, file.sha256) for file in record.files.values())


def _problems(record: Accepted) -> Iterator[str]:
    """Yield what does not hold together in a record."""
    if not stored.is_date(record.date):
        yield "date: this cannot be"
    expected = stored.Expected(record.metric, marked=False)  # the marks alone are compared with
    for target, file in record.files.items():
        yield from stored.of_file(f"files.{target}", file, expected, scored=bool(file.scores))


def read(folder: Path, metric: Metric, data_sha256: str, *, lazy: bool = False) -> dict[str, ModelFile]:
    """Return the accepted file of each target; scores on other examples or of another metric are left out.

    Raises: UserError.

    Records from before images stayed in their files have a digest of pixels: of `lazy` data a note says so.
    """
    path = folder / NAME
    if not path.exists():
        raise UserError(f"`{folder}` holds no accepted model", "`edgepress accept RECIPE` writes one after a run")
    help = "move it away, and accept a run again"
    record = stored.read(path, Accepted, _problems, help)
    same = (record.metric, record.metric_key, record.data_sha256) == (metric.name, [*metric.key], data_sha256)
    unscored = {} if same else {"scores": {}, "correct": "", "resampled": []}
    if lazy and record.data_sha256 != data_sha256:
        say(
            f"note: {word(path)} is of other data, or of an edgepress that told images apart by their pixels and not "
            "by their files; its scores are left out: accept a run again",
            error=True,
        )
    if metric.key and record.metric == metric.name and record.metric_key != [*metric.key]:
        say(
            f"note: {word(path)} is scored by another `{word(metric.name)}`, or by an edgepress that did not record "
            "which; its scores are left out: accept a run again",
            error=True,
        )
    files = {}
    for name, file in record.files.items():
        model = folder / Path(file.path).name
        if not model.is_file() or digest(model) != file.sha256:
            help = "move it away, and accept a run again" if model.exists() else "accept a run again"
            raise UserError(f"`{model}` is missing, or not the file that was accepted", help)
        files[name] = file.model_copy(update={"path": str(model), **unscored})
    return files
