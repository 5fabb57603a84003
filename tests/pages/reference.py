"""Reference pages from the classes themselves: every option with its default and its meaning."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from edgepress.commands import catalog
from edgepress.commands.show import Row, _rows
from edgepress.config import target
from edgepress.config.chain import A
from edgepress.config.recipe import Recipe
from edgepress.config.schema import schema
from edgepress.data.dataset import NAMES
from edgepress.data.source import Source
from edgepress.stage import Stage
from edgepress.stages import TABLE
from edgepress.training import Schedule
from pydantic import BaseModel

NESTED = "finetune."
SHIPPED = Path(__file__).parents[2] / "targets"


def recipe() -> str:
    """Everything that a recipe sets beside its stages."""
    inner = ("task.data.", "task.unlabelled.")
    return _options(row for row in _of(Recipe, skip={"stages"}) if not row.option.startswith(inner))


def stages() -> str:
    """Every stage with what it takes and gives, and the options that it does not share with the others."""
    training, shared = list(_of(Schedule)), [row for row in _of(Stage) if row.option != "use"]
    known = {(row.option, row.value, row.meaning) for row in (*training, *shared)}
    parts = [
        f"## Options of every stage\n\n{_options(shared)}",
        f"## Training options\n\nOf every stage that trains; of `prune.channels` under `finetune:`."
        f"\n\n{_options(training)}",
    ]
    for use, kind in TABLE.items():
        rows = list(_of(kind, skip={"use", "name"} | (set() if kind.takes else {"input"})))
        own = [row for row in rows if (row.option.removeprefix(NESTED), row.value, row.meaning) not in known]
        trains = any(row.option.removeprefix(NESTED) in Schedule.model_fields for row in rows)
        common = " Other [training options](#training-options) have the defaults of all stages." if trains else ""
        works = f"Takes {A[kind.takes]} and gives {A[kind.gives]}" if kind.takes else f"Gives {A[kind.gives]}"
        about = " ".join((kind.__doc__ or "").split())
        parts.append("\n\n".join(filter(None, [f"## `{use}`", about, f"{works}.{common}", _options(own)])))
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def targets() -> str:
    """Every option of a target, and the shipped profiles."""
    lines = ["| profile | device | runtime | budgets | published latencies |", "|---|---|---|---|---|"]
    for path in sorted(SHIPPED.glob("*.yaml")):
        profile = target.load(path)
        limits = (f"{name} {_limit(profile, name)}" for name, _ in profile.budgets.set_fields())
        cells = [f"`{profile.name}`", profile.about, profile.runtime, ", ".join(limits), str(len(profile.references))]
        lines.append(_line(cells))
    return "\n".join(["## Shipped profiles", "", *lines, "", "## Options", "", _options(_of(target.Target))])


def data() -> str:
    """The shipped data sets, and every option of a user's own data."""
    lines = ["| data set | |", "|---|---|"]
    for name in NAMES:
        about = importlib.import_module(f"edgepress.data.{name.replace('-', '_')}").__doc__ or ""
        lines.append(_line([f"`{name}`", about.partition("\n")[0].removeprefix(f"`{name}`: ")]))
    return "\n".join(["## Shipped data sets", "", *lines, "", "## Options of `data:`", "", _options(_of(Source))])


def catalogue() -> str:
    """The shipped recipes, with the first sentence of each."""
    lines = ["| recipe | |", "|---|---|"]
    for name, path in sorted((path.stem, path) for path in (SHIPPED.parent / "recipes").glob("*.yaml")):
        if not name.endswith(".lock"):
            lines.append(_line([f"`{name}`", " ".join(catalog.comments(path))]))
    return "\n".join([*lines, ""])


def _of(model: type[BaseModel], skip: Iterable[str] = ()) -> Iterator[Row]:
    contract = schema(model)
    mapping = next(part for part in (contract, *contract.get("anyOf", ())) if "properties" in part)
    return _rows(mapping, contract.get("$defs", {}), skip=set(skip))


def _options(rows: Iterable[Row]) -> str:
    lines = [_line([f"`{row.option}`", f"`{row.value}`" if row.value else "", row.meaning]) for row in rows]
    return "\n".join(["| option | default | meaning |", "|---|---|---|", *lines, ""]) if lines else ""


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _limit(profile: target.Target, name: str) -> str:
    """A budget as its file writes it."""
    assert profile._document
    written: Any = profile._document.data["budgets"][name]
    if not isinstance(written, dict):
        return str(written)
    return f"{written['limit']}" + (" (advisory)" if written.get("level") == "advisory" else "")
