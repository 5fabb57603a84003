"""Check how the stages of a recipe connect, before anything is trained.

Each stage has an input of a kind that it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from ..core import names
from ..core.document import Document, Loc
from ..core.errors import Place, Problem, UserError, near, suggest
from ..core.presets import PRESETS
from ..models import hub, pretrained
from ..models.network_options import INPUTS
from ..stage import Kind, Stage
from ..stages import TABLE

MOST = 500
"""Stages of a recipe; each is compared with those above it."""

A = {"torch": "a torch model", "onnx": "an ONNX model", "tflite": "a TFLite model"}


@dataclass(frozen=True)
class Step:
    """A stage in its chain; results go by their label, unique in the recipe and stable from run to run."""

    label: str
    stage: Stage
    input: str | None
    """Label of the result to work on; None for a stage that takes none."""
    named: tuple[str, ...]
    """Labels of the results that the options name."""
    kind: Kind
    """Of its result."""


def steps(stages: Iterable[Stage]) -> list[Step]:
    """Return the chain of a checked recipe."""
    stages = list(stages)
    chain: list[Step] = []
    kinds: dict[str, Kind] = {}
    for stage, label in zip(stages, labels((stage.name, stage.use) for stage in stages), strict=True):
        above = chain[-1].label if chain else None
        input = (stage.input or above) if stage.takes else None
        named = tuple(name for _, name in stage.named())
        kinds[label] = stage.kind_with([kinds[name] for name in named if name in kinds])
        chain.append(Step(label, stage, input, named, kinds[label]))
    return chain


def labels(stages: Iterable[tuple[str | None, str]]) -> list[str]:
    """Return the label of each stage: its name, or else its use, numbered from the second on."""
    stages = list(stages)
    taken = {name for name, _ in stages}
    names: list[str] = []
    for name, use in stages:
        label, count = name or use, 1
        while name is None and label in taken:
            count += 1
            label = f"{use}-{count}"
        taken.add(label)
        names.append(label)
    return names


def reference(chain: list[Step]) -> str:
    """Return the label that accuracy drops count from.

    It is the (first) teacher of the first distillation, which the recipe starts from; without one, the input of the
    first stage that changes a model; without that, the last result.
    """
    teachers = (step.named[0] for step in chain if "teacher" in step.stage.names and step.named)
    changed = (step.input for step in chain if step.input)
    return next(teachers, None) or next(changed, None) or chain[-1].label


@dataclass(frozen=True)
class Row:
    """What is known of a stage, even when something else in it is wrong."""

    index: int
    line: int
    data: dict[str, Any]
    type: type[Stage] | None
    stage: Stage | None
    kind: Kind | None
    """Kind of its result, if known."""

    @property
    def loc(self) -> Loc:
        return ("stages", self.index)

    def text(self, option: str) -> str | None:
        value = self.data.get(option)
        return value if isinstance(value, str) else None


def check(document: Document) -> Iterator[Problem]:
    """Yield the problems between the stages of a recipe, and of the files and networks that they name.

    The kind of a stage with a problem of its own follows from its `use`, so that one pass finds every problem.
    """
    rows = rows_of(document)
    for row in rows:
        yield from _name(document, row, rows)
        yield from _input(document, row, rows)
        for option, name in row.stage.named() if row.stage else ():
            yield from _reference(document, (*row.loc, *option), name, row, rows)
        yield from _files(document, row)
        yield from _networks(document, row)
    name = document.data.get("reference")
    if isinstance(name, str) and rows and (problem := _absent(name, rows, rows, document.place(("reference",)))):
        yield problem


def rows_of(document: Document) -> list[Row]:
    """Return what is known of each stage."""
    stages = document.data.get("stages")
    rows: list[Row] = []
    for index, data in enumerate(stages if isinstance(stages, list) else []):
        rows.append(_row(document, index, data, rows))
    return rows


def _row(document: Document, index: int, data: Any, above: list[Row]) -> Row:
    data = data if isinstance(data, dict) else {}
    use = data.get("use")
    kind = TABLE.get(use) if isinstance(use, str) else None
    try:
        stage = (
            kind.model_validate_json(to_json(data, inf_nan_mode="strings"), strict=True, context=document)
            if kind
            else None
        )
    except ValidationError:  # reported by the validation of the whole recipe
        stage = None
    gives = kind.gives if kind else None
    if stage:
        kinds = {row.text("name"): row.kind for row in above}
        gives = stage.kind_with([result for _, name in stage.named() if (result := kinds.get(name))])
    return Row(index, document.place(("stages", index)).line, data, kind, stage, gives)


def _name(document: Document, row: Row, rows: list[Row]) -> Iterator[Problem]:
    name, place = row.text("name"), document.place((*row.loc, "name"))
    if name == "input":
        yield Problem("`input` cannot be a name: stages call the model that they work on so", "choose another", place)
    for earlier in rows[: row.index]:
        other = earlier.text("name")
        if name is None or other is None:
            continue
        if name == other:
            yield Problem(f"`{name}` is already the name of the stage on line {earlier.line}", "choose another", place)
            return
        short, _, preset = max(name, other, key=len).rpartition(".")
        if short in (name, other) and preset in PRESETS and row.kind == earlier.kind != "torch":
            message = f"a file of `{short}` for {preset} is called as the one of `{short}.{preset}`"
            yield Problem(message, "choose another", place)
            return


def _input(document: Document, row: Row, rows: list[Row]) -> Iterator[Problem]:
    """Yield a problem when the stage has no input, or one of the wrong kind."""
    if row.type is None:
        return
    use, takes, name, above = row.text("use"), row.type.takes, row.text("input"), rows[: row.index]
    place = document.place((*row.loc, "input" if name else "use"))
    if takes is None:
        if name is not None:
            help = f"name its models in `{row.type.names[0]}`" if row.type.names else "it starts from nothing"
            yield Problem(f"`{use}` takes no `input`", help, document.place((*row.loc, "input"), key=True))
    elif name is not None:
        if problem := _absent(name, above, rows, place):
            yield problem
        elif (got := _called(name, above).kind) not in (takes, None):
            help = _bridge(got, takes, above, name)
            yield Problem(f"`{use}` takes {A[takes]}, but `{name}` is {A[got]}", help, place)
    elif not above:
        starts = [
            f"`- use: {start}`"
            for start, kind in TABLE.items()
            if kind.takes is None and not _needs_names(kind) and "." not in start
        ]
        help = "start with " + " or ".join(starts)
        yield Problem(f"`{use}` takes {A[takes]}, but no stage stands above it", help, place)
    elif (got := above[-1].kind) not in (takes, None):
        help = _bridge(got, takes, above)
        yield Problem(f"`{use}` takes {A[takes]}, but the stage above gives {A[got]}", help, place)


def _needs_names(kind: type[Stage]) -> bool:
    return any(kind.model_fields[option].is_required() for option in kind.names)


def _bridge(got: Kind, wanted: Kind, above: list[Row], name: str | None = None) -> str:
    """Return how to get a model of the kind `wanted`: a stage that makes one, or an earlier result."""
    for use, kind in TABLE.items():
        if (kind.takes, kind.gives) == (got, wanted):
            return (
                f"put `- {{use: {use}, input: {name}}}` above it, and no `input` here"
                if name
                else f"put `- use: {use}` above it"
            )
    for row in reversed(above):
        if row.kind == wanted:
            called = row.text("name")
            return (
                f"say `input: {called}`"
                if called
                else f"give the stage on line {row.line} a `name`, and write it as `input`"
            )
    return ""


def _reference(document: Document, loc: Loc, name: str, row: Row, rows: list[Row]) -> Iterator[Problem]:
    """Yield a problem when the result that an option names is not made above, or of the wrong kind."""
    place, above = document.place(loc), rows[: row.index]
    assert row.type is not None, "a stage that names something is one"
    kinds = row.type.named_kinds
    if problem := _absent(name, above, rows, place):
        yield problem
    elif (got := _called(name, above).kind) and got not in kinds:
        option = next(part for part in reversed(loc) if isinstance(part, str))
        help = "name a result from before the export"
        yield Problem(
            f"`{option}` takes {' or '.join(A[kind] for kind in kinds)}, but `{name}` is {A[got]}", help, place
        )


def _called(name: str, rows: list[Row]) -> Row:
    row = result_called(name, rows)
    assert row is not None
    return row


def result_called(name: str, rows: Sequence[Row]) -> Row | None:
    """Return the stage whose result has this name, if there is one."""
    return next((row for row in rows if row.text("name") == name), None)


def _absent(name: str, above: list[Row], rows: list[Row], place: Place) -> Problem | None:
    """Return why `name` is no result of the stages above; None when it is one."""
    known = {text for row in above if (text := row.text("name"))}
    if name in known:
        return None
    for row in rows[len(above) :]:
        if row.text("name") == name:
            if row.index == len(above):
                return Problem(f"`{name}` is this very stage", "name a result that is made above it", place)
            return Problem(f"`{name}` is made later, on line {row.line}", "move it up", place)
    unnamed = (row.line for row in above if row.text("use") == name)
    help = next((f"give the stage on line {line} a `name`" for line in unnamed), "")
    help = help or suggest(name, known, "no stage above has a `name`" if not known else "")
    return Problem(f"no result above is called `{name}`", help, place)


def _files(document: Document, row: Row) -> Iterator[Problem]:
    for file in row.stage.files() if row.stage and not document.loose else ():
        if hub.is_hub(file):
            continue  # a check downloads nothing
        try:
            pretrained.find(file, document.path)
        except UserError as error:
            loc = next((loc for loc, value in document.scalars(row.loc) if value == file), row.loc)
            yield from (Problem(problem.message, problem.help, document.place(loc)) for problem in error.problems)


def _networks(document: Document, row: Row) -> Iterator[Problem]:
    """Yield a problem for every `timm/NAME` that timm does not have, in any option; the same for other homes."""
    for loc, value in document.scalars(row.loc):
        home, _, name = value.partition("/") if isinstance(value, str) else ("", "", "")
        if not name or home not in _HOMES:
            continue
        known, help = _HOMES[home]
        name = name.partition(".")[0]  # the part after the dot names pretrained weights
        if name not in known():
            match = near(name, known())
            help = f"did you mean `{home}/{match}`?" if match else help
            yield Problem(f"{home} has no network `{name}`", help, document.place(loc))


_HOMES: dict[str, tuple[Callable[[], Collection[str]], str]] = {
    "timm": (names.zoo, "`timm.list_models()` has the names"),
    "torchvision": (names.torchvision, "`torchvision.models.list_models()` has the names"),
    "edgepress": (lambda: INPUTS, f"one of: {', '.join(INPUTS)}"),
}
"""Package → the names of its networks, and where people find them."""


def sources(step: Step) -> list[str]:
    """Return the labels of all results that a step works on."""
    return [*([step.input] if step.input else []), *step.named]
