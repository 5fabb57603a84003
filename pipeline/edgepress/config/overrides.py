"""Apply `--set PATH=VALUE`, validated like options of the recipe's file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..core.document import Document, Loc
from ..core.errors import Place, Problem, UserError, suggest
from ..core.yamlio import parse
from .chain import labels

ARGUMENT = Path("--set")
"""Where a wrong value stands, when it stands in no file."""
FORM = "write `--set PATH=VALUE`, for example `--set stages.small.ratio=40%` or `--set keep.accuracy_drop='2 points'`"


def apply(document: Document, arguments: Iterable[str]) -> None:
    """Put every VALUE, as YAML, at its PATH of `document`: names joined by dots, a stage by its name or number from 0.

    Of two that set the same option the last one counts. Raises: UserError for a PATH that leads nowhere; an option
    that does not exist and a value that does not fit are reported by the check of the document.
    """
    problems: list[Problem] = []
    for argument in arguments:
        try:
            _apply(document, argument)
        except UserError as error:
            problems += error.problems
        document.changes += (argument,)
    if problems:
        raise UserError(problems)


def _apply(document: Document, argument: str) -> None:
    path, equals, _ = argument.partition("=")
    if not path or not equals:
        raise UserError(f"`--set {argument}` lacks a path or a value", FORM)
    if not path.isprintable():
        raise UserError(f"`--set` has a path with a character that no option has: {path!a}", FORM)
    value = parse(Document(ARGUMENT, argument), skip=len(path) + 1)
    if isinstance(document.data, dict):  # else the check of the file reports it
        loc, keys = _find(document, path, argument)
        chosen = _with_budgets(document) if loc == ("targets",) else {}
        document.put(loc, value, keys)
        for index, name in enumerate(value.data if chosen and isinstance(value.data, list) else ()):
            if isinstance(name, str) and name in chosen:
                document.put((*loc, index), chosen[name], [*keys, document.place((*loc, index))])


def _with_budgets(document: Document) -> dict[str, Document]:
    """Return the targets with budgets in the recipe, by name: `--set targets=[NAME]` keeps their budgets."""
    targets = document.data.get("targets")
    return {
        entry["use"]: document.part(("targets", index))
        for index, entry in enumerate(targets if isinstance(targets, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("use"), str)
    }


def _find(document: Document, path: str, argument: str) -> tuple[Loc, list[Place]]:
    """Return the location of `path` in `document`, and the place of each of its parts in `argument`."""
    loc: list[str | int] = []
    places: list[Place] = []
    data, column = document.data, 1
    for part in _split(document.data, path):
        place = Place(ARGUMENT, 1, column, max(len(part), 1), argument)
        loc.append(_step(data, part, loc, place))
        places.append(place)
        column += len(part) + 1
        data = data[int(loc[-1])] if isinstance(data, list) else (data or {}).get(part)
    return tuple(loc), places


def _split(data: dict[str, Any], path: str) -> list[str]:
    """Return the parts of `path`; names of stages may have dots."""
    head, _, rest = path.partition(".")
    if head == "stages" and isinstance(data.get("stages"), list):
        for label in sorted(_labels(data["stages"]), key=len, reverse=True):
            if f"{rest}.".startswith(f"{label}."):
                return [head, label, *rest[len(label) + 1 :].split(".")] if rest != label else [head, label]
    return path.split(".")


def _labels(stages: list[Any]) -> list[str]:
    mappings = [stage if isinstance(stage, dict) else {} for stage in stages]
    return labels(
        (None if stage.get("name") is None else str(stage["name"]), str(stage.get("use"))) for stage in mappings
    )


def _step(data: Any, part: str, above: list[str | int], place: Place) -> str | int:
    """Return the key or index of `data` for `part`; `above` has led to `data`."""
    if isinstance(data, list):
        names = _labels(data) if above == ["stages"] else []
        if part in names:
            return names.index(part)
        if part.isascii() and part.isdigit() and len(part) < 9 and int(part) < len(data):
            return int(part)
        if names:
            raise UserError(Problem(f"there is no stage `{part}`", suggest(part, names), place))
        help = f"items have numbers from 0 to {len(data) - 1}" if data else "the list is empty: set the whole of it"
        raise UserError(Problem(f"`{above[-1]}` has no item `{part}`", help, place))
    if data is not None and not isinstance(data, dict):
        option = ".".join(map(str, above))
        raise UserError(Problem(f"`{above[-1]}` has no options: it is `{data}`", f"set the whole of `{option}`", place))
    return part
