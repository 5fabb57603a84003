"""Validate a document, and report every problem at once.

Values are checked strictly (`'10'` and `true` are not whole numbers), and each problem stands at the value that is
wrong, at the key that is unknown, or at the mapping that lacks an option.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, to_json

from .document import Document, Loc
from .error_location import Spot, follow, options, tags_of
from .errors import MOST_SHOWN, Place, Problem, UserError, near, suggest
from .units import like

Model = TypeVar("Model", bound=BaseModel)
MOST = MOST_SHOWN - 1
"""Problems that are described; the rest are counted in one more."""


def validated(document: Document, model: type[Model]) -> Model:
    """Validate `document` as a `model`, whose validators find it as `info.context`. Raises: UserError."""
    if not isinstance(document.data, dict):
        raise UserError(_not_a_mapping(document, model))
    # JSON mode is strict about scalars, yet takes lists for tuples and text for paths.
    written = to_json(document.data, inf_nan_mode="strings")
    try:
        return model.model_validate_json(written, strict=True, context=document)
    except ValidationError as error:
        # As many as are shown: a suggestion for a misspelt option takes a millisecond, and there may be thousands.
        errors = error.errors(include_url=False)
        errors, rest = errors[:MOST], errors[MOST:]
        wrong = [
            (follow(model, details["loc"], unknown=details["type"] == "extra_forbidden"), details) for details in errors
        ]
        wrong = [details for details in wrong if not _miscounted(details[1])]
        problems = [*_problems(document, wrong)]
        if rest:
            spot = follow(model, rest[0]["loc"], unknown=rest[0]["type"] == "extra_forbidden")
            problems.append(Problem(f"… and {len(rest):,} more problems from here on", "", document.place(spot.where)))
        raise UserError(in_order(problems)) from None


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Sort by file and by the place in it; problems without a place come first."""
    return sorted(problems, key=lambda problem: _position(problem.place))


def _position(place: Place | None) -> tuple[str, int, int]:
    return (str(place.path), place.line, place.column) if place else ("", 0, 0)


def _not_a_mapping(document: Document, model: type[BaseModel]) -> Problem:
    required = [f"`{name}:`" for name, option in model.model_fields.items() if option.is_required()]
    help = "it needs " + ", ".join(required)
    place = document.place(())
    if document.data is None:
        return Problem("the file is empty", help, document.at(0, 0))
    return Problem(f"the file must be a mapping of options, got {_shown(document.data, place)}", help, place)


def _problems(document: Document, wrong: list[tuple[Spot, ErrorDetails]]) -> Iterator[Problem]:
    """Yield a problem per error; for a value that fits no member of a union, one, or those of the member meant."""
    misspelt = {
        (*spot.where[:-1], near(str(spot.where[-1]), options(spot.parent)))
        for spot, details in wrong
        if details["type"] == "extra_forbidden"
    }
    choices: dict[Loc, dict[str, list[tuple[Spot, ErrorDetails]]]] = {}
    for spot, details in wrong:
        if details["type"] == "missing" and spot.where in misspelt:
            continue
        if spot.choice is None:
            yield _problem(document, spot, details)
        else:
            choices.setdefault(spot.choice, {}).setdefault(spot.member, []).append((spot, details))
    for members in choices.values():
        meant = [errors for errors in members.values() if all(spot.inside for spot, _ in errors)]
        if meant:
            yield from (_problem(document, spot, details) for spot, details in min(meant, key=len))
        else:
            yield _bad_value(document, [error for errors in members.values() for error in errors])


def _miscounted(details: ErrorDetails) -> bool:
    """Tell whether a tuple counts as too short only for its bad items, which have problems of their own."""
    return details["type"] == "too_short" and len(details["input"]) >= details["ctx"]["min_length"]


def _problem(document: Document, spot: Spot, details: ErrorDetails) -> Problem:
    name, place = str(spot.where[-1]) if spot.where else "", document.place(spot.where)
    if details["type"] == "extra_forbidden":
        help = suggest(name, options(spot.parent))
        return Problem(f"unknown option `{name}`", help, document.place(spot.where, key=True))
    if details["type"] == "missing":
        return Problem(f"missing option `{name}`", spot.about, document.place((*spot.where[:-1], "use")))
    # What a stage says of its options together is told of the whole stage, and is no wrong `use`.
    if (tags := tags_of(spot.kind)) and details["type"] != "value_error":
        return _no_stage(details, tags, place, document.place((*spot.where, "use")))
    return _bad_value(document, [(spot, details)])


def _no_stage(details: ErrorDetails, tags: Iterable[str], place: Place, use: Place) -> Problem:
    """Return the problem of a value in the place of a stage; `use` is the place of that option, if the file has it."""
    value = details["input"]
    if details["type"] == "union_tag_not_found":
        return Problem("missing option `use`", _use(value, tags), place)
    if details["type"] != "union_tag_invalid":
        return Problem(f"write a stage, got {_shown(value, place)}", _use(value, tags), place)
    if isinstance(word := value["use"], str):
        return Problem(f"unknown stage `{word}`", suggest(word, tags), use)
    return Problem(f"`use`: write the name of a stage, got {_shown(word, use)}", suggest("", tags), use)


def _bad_value(document: Document, errors: list[tuple[Spot, ErrorDetails]]) -> Problem:
    """Return one problem for one value; `errors` has one error for each type that the value may be of."""
    spot, details = errors[0]
    # A validator may have made a mapping of a plain value: its options are not in the file, the value is.
    where = document.nearest(spot.where)
    value, place = document.value(where), document.place(where)
    wants, helps = zip(*(_want(spot, details, place.text) for spot, details in errors), strict=True)
    message = " or ".join(dict.fromkeys(wants))
    judged_whole = isinstance(value, (dict, list)) and details["type"] == "value_error"
    if details["type"] in ("too_short", "too_long"):
        message += f", got {len(value)}"
    elif not judged_whole:
        message += f", got {_shown(value, place)}"
    names = [part for part in where if isinstance(part, str)]
    if names and not (judged_whole and isinstance(where[-1], int)):
        message = f"`{names[-1]}`: {message}"
    return Problem(message, max(helps, key=lambda help: (help.startswith("did you mean"), help != "")), place)


def _want(spot: Spot, details: ErrorDetails, text: str) -> tuple[str, str]:
    """Return what to write in place of a bad value, and help. `text` is the value as it stands in the file."""
    code, value, context = details["type"], details["input"], details.get("ctx", {})
    if isinstance(mistake := context.get("error"), ValueError):
        return str(mistake), getattr(mistake, "help", "")
    if code not in _WANTED:
        return details["msg"][:1].lower() + details["msg"][1:], spot.about
    bounds = {name: _bound(bound, value) for name, bound in context.items()}
    if code == "literal_error":
        bounds["expected"] = context["expected"].replace("'", "`")
    return _WANTED[code].format(**bounds), _help(code, value, context, text) or (spot.about if code in _ABOUT else "")


def _bound(bound: Any, value: Any) -> Any:
    """Write a limit in the unit that the value is written in."""
    if isinstance(bound, (int, float)) and isinstance(value, str):
        return like(bound, value)
    return f"{bound:g}" if isinstance(bound, float) else bound


def _help(code: str, value: Any, context: dict[str, Any], text: str) -> str:
    if code == "literal_error" and isinstance(value, str):
        match = near(value, re.findall(r"'([^']*)'", context["expected"]))
        return f"did you mean `{match}`?" if match else ""
    if code == "string_type" and isinstance(value, (bool, int, float)):
        return f"put it in quotes: `'{text}'`"
    if code == "bool_type" and str(value).lower() in _SPELT:
        return f"write `{_SPELT[str(value).lower()]}`"
    if code in ("int_type", "float_type"):
        quoted = isinstance(value, str) and re.fullmatch(r"[-+.0-9eE]+", value)
        integer = f"write `{value:.0f}`" if isinstance(value, float) and value.is_integer() else ""
        return "take the quotes away" if quoted else integer
    if code in ("list_type", "tuple_type") and isinstance(value, str):
        return f"did you mean `[{text}]`?"
    return ""


def _use(value: Any, tags: Iterable[str]) -> str:
    """Return the next act about a stage without `use`, by what stands in its place."""
    if isinstance(value, str) and (tag := near(value, tags)):
        return f"did you mean `use: {tag}`?"
    for key in value if isinstance(value, dict) else ():
        if key in tags:
            return f"write `use: {key}`, with its options beside it"
        if near(key, ["use"]):
            return f"did you mean `use` for `{key}`?"
    return "name what the stage does: `use: NAME`, " + suggest("", tags)


def _shown(value: Any, place: Place) -> str:
    """Show a value in a message: as it stands in the file, unless it is more than one line shows."""
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = place.text if len(place.text) <= 60 else place.text[:59] + "…"
    return "nothing" if value is None else f"`{text}`"


_SPELT = {
    "yes": "true",
    "on": "true",
    "y": "true",
    "no": "false",
    "off": "false",
    "n": "false",
    "1": "true",
    "0": "false",
}
_WANTED = {
    "int_type": "write a whole number",
    "float_type": "write a number",
    "bool_type": "write `true` or `false`",
    "string_type": "write text",
    "list_type": "write a list",
    "tuple_type": "write a list",
    "dict_type": "write a mapping of options",
    "model_type": "write a mapping of options",
    "literal_error": "write {expected}",
    "greater_than": "write more than {gt}",
    "greater_than_equal": "write {ge} or more",
    "less_than": "write less than {lt}",
    "less_than_equal": "write {le} or less",
    "multiple_of": "write a multiple of {multiple_of}",
    "finite_number": "write a finite number",
    "too_short": "write {min_length} or more",
    "too_long": "write {max_length} or less",
    "string_too_short": "write at least {min_length} characters",
    "string_too_long": "write at most {max_length} characters",
    "string_pattern_mismatch": "this text is not allowed here",
}
"""Kind of pydantic error → what to write."""
_ABOUT = ("string_pattern_mismatch", "too_short", "too_long")
"""Kinds of error where the option's description says more."""
