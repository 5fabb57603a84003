"""Report what options alone decide: sources, data and targets of a stage.

The same rules judge the data once it has been read, before any stage runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..core.document import Document, Loc
from ..core.errors import Problem, Rejection
from ..core.presets import PresetName
from ..data.facts import DataFacts
from ..stage import Lineage, Setting
from .chain import Row, result_called, rows_of


def check(document: Document, data: DataFacts, presets: Mapping[PresetName, str]) -> Iterator[Problem]:
    """Yield why stages cannot go with their sources, the data, or the integer formats that targets need.

    `presets` has the name of the target by its format. A stage with a problem of its own is left out, and so is a
    source of the wrong kind: `chain.check` reports them.
    """
    for index, lineage in lineages(document).items():
        for rejection in lineage.stage.reject(Setting(lineage.sources, data, presets)):
            yield place(document, ("stages", index), rejection)


def lineages(document: Document) -> dict[int, Lineage]:
    """Return what options tell of the result of each stage, by its index."""
    rows = rows_of(document)
    known: dict[int, Lineage] = {}
    for row in rows:
        if row.stage is not None and row.kind is not None:
            known[row.index] = Lineage(row.stage, row.kind, dict(_sources(row, rows[: row.index], known)))
    return known


def _sources(row: Row, above: Sequence[Row], known: Mapping[int, Lineage]) -> Iterator[tuple[str, Lineage]]:
    """Yield the results that a stage works on, by name, as far as they are known and of a kind that it takes."""
    stage = row.stage
    assert stage is not None
    if stage.takes:
        source = result_called(stage.input, above) if stage.input else above[-1] if above else None
        if source and source.kind == stage.takes and source.index in known:
            yield "input", known[source.index]
    for _, name in stage.named():
        source = result_called(name, above)
        if source and source.kind in stage.named_kinds and source.index in known:
            yield name, known[source.index]


def place(document: Document, above: Loc, rejection: Rejection) -> Problem:
    """Place a rejection at its option in the mapping `above`, or at a stage's `use` where a default is at fault."""
    nearest = document.nearest((*above, *rejection.option))
    spot = document.place((*above, "use") if nearest == above else nearest)
    return Problem(rejection.message, rejection.help, spot)
