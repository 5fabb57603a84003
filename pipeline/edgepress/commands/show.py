"""Implement `show`: print every option with value, origin and meaning."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import recipe, target
from ..config.chain import A
from ..config.overrides import ARGUMENT
from ..config.schema import schema
from ..core import yamlio
from ..core.document import Document, Loc
from ..core.errors import UserError, suggest
from ..core.printable import word
from ..core.units import like
from ..stages import TABLE
from . import catalog

WIDTH = 100
LONGEST_VALUE = 30
NOTHING = "—"


@dataclass(frozen=True)
class Row:
    """One option. `origin` is the source of the value: `recipe`, `target`, `--set` or `default`."""

    option: str
    value: str
    origin: str
    meaning: str


def show(name: str, changes: Sequence[str] = (), *, every: bool = True) -> str:
    """Return the text about a stage, a recipe (with `changes` of `--set`) or a target; without `every`, set options
    only.

    Raises: UserError when there is no such thing, when it is wrong, or for `changes` of anything but a recipe.
    """
    if name not in TABLE and _is_recipe(path := _file(name)):
        return _recipe(path, changes, name if not every else "")
    if changes:
        raise UserError(f"`--set` is for recipes, and `{name}` is none")
    return _stage(name) if name in TABLE else _target(path)


def _file(name: str) -> Path:
    try:
        return catalog.find(name)
    except UserError:
        known = [*TABLE, *catalog.files("recipes"), *catalog.files("targets")]
        help = suggest(name, known, "`edgepress ls` shows what there is")
        raise UserError(f"there is no recipe, target or stage `{name}`", help) from None


def _is_recipe(path: Path) -> bool:
    return not recipe.is_target(yamlio.read(path))


def _stage(use: str) -> str:
    kind = TABLE[use]
    contract = schema(kind)
    skipped = {"use"} if kind.takes else {"use", "input"}
    works = f"takes {A[kind.takes]} and gives" if kind.takes else "gives"
    about = " ".join((kind.__doc__ or "").split())
    head = [*textwrap.wrap(f"{use}: {about}", WIDTH), f"It {works} {A[kind.gives]}."]
    rows = list(_rows(contract, contract.get("$defs", {}), skip=skipped))
    return "\n".join([*head, "", *_table([("", rows)], origins=False)])


def _recipe(path: Path, changes: Sequence[str], short: str) -> str:
    """Describe all options of a recipe; for one that was called `short`, those that it sets."""
    loaded = recipe.load(path, changes, loose=True)
    contract, document = schema(recipe.Recipe), loaded.document
    resolved: dict[Loc, str] = {("reference",): loaded.reference_label()}
    groups = [("", _rows(contract, contract["$defs"], document, resolved=resolved, skip={"stages"}))]
    for index, step in enumerate(loaded.steps()):
        loc: Loc = ("stages", index)
        part = contract["$defs"][type(step.stage).__name__]
        skip = {"use", "name"} if step.input else {"use", "name", "input"}
        rows = _rows(part, contract["$defs"], document, loc, resolved={(*loc, "input"): step.input or ""}, skip=skip)
        groups.append((f"stages.{step.label}  {step.stage.use}", rows))
    tables = [(title, list(rows)) for title, rows in groups]
    left_out = sum(row.origin == "default" for _, rows in tables for row in rows) if short else 0
    if short:
        tables = [(title, [row for row in rows if row.origin not in ("default", "")]) for title, rows in tables]
    lines = [f"{loaded.name}  {word(path)}", "", *_table(tables)]
    if loaded.targets:
        lines += ["", "budgets", *_budgets(loaded)]
    if left_out:
        lines += ["", f"{left_out} more options are at their defaults: `edgepress show {short} --all`"]
    return "\n".join(lines)


def _budgets(loaded: recipe.Recipe) -> Iterator[str]:
    """Yield a line of limits for each target."""
    names = loaded.target_names()
    width = max(map(len, names))
    for name, profile in zip(names, loaded.load_targets(), strict=True):
        limits = ", ".join(f"{option} {word(_limit(limit))}" for option, limit in profile.written.items())
        head, margin = f"  {name:<{width}}  ", " " * (width + 4)
        yield from textwrap.wrap(limits, WIDTH, initial_indent=head, subsequent_indent=margin)


def _limit(budget: Any) -> str:
    if not isinstance(budget, dict):
        return str(budget)
    percentile = f"p{budget['percentile']} " if "percentile" in budget else ""
    return f"{percentile}{budget['limit']}" + (" (advisory)" if budget.get("level") == "advisory" else "")


def _target(path: Path) -> str:
    loaded, document = target.load(path), yamlio.read(path)
    contract = schema(target.Target)
    rows = list(_rows(contract, contract["$defs"], document, skip={"references"}))
    return "\n".join([f"{word(loaded.name)}  {word(path)}", "", *_table([("", rows)]), "", *_references(loaded)])


def _references(loaded: target.Target) -> list[str]:
    if not loaded.references and loaded.reach == "local":
        return ["no references: every number of this target is measured"]
    if not loaded.references:
        return ["no references: no latency of this device can be estimated from another machine"]
    sources = list(dict.fromkeys(f"{reference.source}, commit {reference.commit}" for reference in loaded.references))
    rows = [["network", "precision", "latency", "threads", "runtime", "statistic", "source"]]
    for reference in loaded.references:
        source = sources.index(f"{reference.source}, commit {reference.commit}") + 1
        cells = (
            reference.model,
            reference.precision,
            f"{reference.ms:g} ms",
            reference.threads,
            reference.runtime,
            reference.statistic,
        )
        rows.append([*map(word, cells), f"[{source}]"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    named = [f"[{number}] {word(source)}" for number, source in enumerate(sources, start=1)]
    return ["references: published latencies, which let another machine estimate this device's", *lines, *named]


def _rows(
    part: dict[str, Any],
    kinds: dict[str, Any],
    document: Document | None = None,
    loc: Loc = (),
    *,
    resolved: Mapping[Loc, str] | None = None,
    skip: set[str] | frozenset[str] = frozenset(),
    above: str = "",
) -> Iterator[Row]:
    """Yield the options of a mapping, of its JSON Schema `part`; without a document all possible ones, and
    defaults.

    `loc` is where the mapping stands in `document`, and `resolved` has defaults that depend on the rest of it.
    """
    for name, option in part["properties"].items():
        here, mapping = (*loc, name), _mapping(option, kinds)
        if name in skip:
            continue
        written = document is not None and document.nearest(here) == here
        value = document.value(here) if document and written else option.get("default")
        inside = isinstance(value, dict) or document is None
        if mapping and inside:
            shown = "" if document or "default" in option else "required"
        elif not written and name not in part.get("required", ()):
            shown = (resolved or {}).get(here) or _text(value)
        else:
            shown = _text(value) if written else "required"
        origin = _origin(document, here) if document and written else "default"
        meaning = _meaning(option, kinds, shown, limits=document is None)
        if shown or meaning:
            yield Row(f"{above}{name}", shown, origin if shown else "", meaning)
        if mapping and inside:
            yield from _rows(mapping, kinds, document, here, above=f"{above}{name}.")


def _origin(document: Document, loc: Loc) -> str:
    if document.place(loc).path == ARGUMENT:
        return "--set"
    return "target" if recipe.is_target(document) else "recipe"


def _alternatives(option: dict[str, Any], kinds: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the schemas that an option may have, other than null."""
    if "$ref" in option:
        return _alternatives(kinds[option["$ref"].rpartition("/")[2]], kinds)
    if "anyOf" in option:
        return [alternative for part in option["anyOf"] for alternative in _alternatives(part, kinds)]
    return [] if option.get("type") == "null" else [option]


def _mapping(option: dict[str, Any], kinds: dict[str, Any]) -> dict[str, Any] | None:
    return next((alternative for alternative in _alternatives(option, kinds) if "properties" in alternative), None)


def _meaning(option: dict[str, Any], kinds: dict[str, Any], shown: str, *, limits: bool) -> str:
    """Return the description, with choices, limits, and an example where no value is shown."""
    about = option.get("description", "")
    for alternative in _alternatives(option, kinds):
        if "enum" in alternative:
            return f"{about} ({', '.join(alternative['enum'])})"
        if limits and (words := _limits(alternative | option)):
            about += f" ({words})"
        if "examples" in alternative and "examples" not in option and shown in (NOTHING, "required"):
            about += f", such as {' or '.join(map(str, alternative['examples']))}"
    if "examples" in option and "$ref" not in option and shown in (NOTHING, "required"):
        about += f", such as {' or '.join(map(str, option['examples']))}"
    return about


def _limits(option: dict[str, Any]) -> str:
    unit = option.get("examples", [""])[0]
    words = {
        "minimum": "{} or more",
        "exclusiveMinimum": "more than {}",
        "maximum": "{} or less",
        "exclusiveMaximum": "less than {}",
    }
    known = {name: option[name] for name in words if name in option}
    return ", ".join(words[name].format(like(limit, str(unit))) for name, limit in known.items())


def _text(value: Any) -> str:
    return NOTHING if value in (None, "") else word(value if isinstance(value, str) else yamlio.inline(value))


def _table(groups: Sequence[tuple[str, Sequence[Row]]], *, origins: bool = True) -> list[str]:
    """Return columns shared by all groups, each with a title; long values and meanings take several lines."""
    rows = [row for _, group in groups for row in group]
    if not rows:
        return ["no options"]
    head = Row("option", "value" if origins else "default", "from", "meaning")
    option = max(len(row.option) + (2 if title else 0) for title, group in [("", [head]), *groups] for row in group)
    value = min(LONGEST_VALUE, max(len(row.value) for row in (head, *rows)))
    origin = max(len(row.origin) for row in (head, *rows)) + 2 if origins else 0
    indent = option + value + origin + 4
    lines: list[str] = []
    for title, group in [("", [head]), *groups]:
        lines += ["", title] if title else []
        for row in group:
            name = f"  {row.option}" if title else row.option
            values = textwrap.wrap(row.value, value, break_on_hyphens=False) or [""]
            meanings = textwrap.wrap(row.meaning, WIDTH - indent) or [""]
            for index in range(max(len(values), len(meanings))):
                first = index == 0
                cells = (name if first else "").ljust(option), _at(values, index).ljust(value)
                from_ = f"{row.origin if first else '':<{origin}}" if origins else ""
                lines.append(f"{cells[0]}  {cells[1]}  {from_}{_at(meanings, index)}".rstrip())
    return lines


def _at(lines: Sequence[str], index: int) -> str:
    return lines[index] if index < len(lines) else ""
