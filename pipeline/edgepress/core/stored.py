"""Read results that are stored as JSON; those that do not hold together are damaged.

A type tells that a count is an integer. That marks and scores agree, that times are times, and that samples are of the
same rounds is checked here, once, when a file is read: whatever is computed from it later has no case for nonsense.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from . import foreign
from .errors import UserError
from .metrics import METRICS
from .results import Emulated, ModelFile, Preprocessing, Report, StageFacts
from .stored_samples import LONGEST, of_samples, wrong
from .system_errors import SystemFault

LONGEST_STAGE = 1e9
"""Seconds: thirty years."""
MOST_DIGITS = 18
"""Of an integer: more than any count, and no float that is computed from it overflows."""
LARGEST = 1 << 28
"""Bytes of a file."""
ROUNDED = 2e-6
"""Scores that are drawn have six decimals."""
Model = TypeVar("Model", bound=BaseModel)


def read(
    path: Path,
    model: type[Model],
    problems: Callable[[Model], Iterable[str]],
    help: str,
    wrong_is: str = "is damaged, or from another version of edgepress",
) -> Model:
    """Return the results in the file `path`. Raises: UserError that says what in it is damaged, by its place."""
    try:
        content = foreign.read(path, LARGEST, "a file of results")
    except SystemFault:
        raise  # its next act is another than for a wrong file
    except UserError as error:
        raise UserError(error.problems[0].message, help) from error
    wrong = ""
    try:
        results = model.model_validate_json(content, strict=True)
        json.loads(content, object_pairs_hook=_once, parse_int=_integer)
        wrong = next(iter(problems(results)), "")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        wrong = ": ".join(filter(None, [".".join(map(str, first["loc"])), first["msg"]]))
    except (ValueError, RecursionError) as error:
        wrong = str(error)
    if wrong:
        raise UserError(f"`{path}` {wrong_is}: {wrong}", help)
    return results


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the mapping of a JSON object. Raises: ValueError for a key that stands in it twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for index, (key, _) in enumerate(pairs) if key in dict(pairs[:index]))
        raise ValueError(f"`{twice}` stands twice in one object")
    return found


def _integer(digits: str) -> int:
    """Return the integer. Raises: ValueError where it is no count of anything."""
    if len(digits.lstrip("-")) > MOST_DIGITS:
        raise ValueError(f"an integer has more than {MOST_DIGITS} digits")
    return int(digits)


def of_report(report: Report) -> Iterator[str]:
    """Yield what does not hold together in a report."""
    data, images = report.data, report.data.get("images", {})
    counts = isinstance(images, dict) and all(_is_count(count, 1) for count in images.values())
    yield from wrong("date", is_date(report.date))
    yield from wrong("machine.cores", report.machine.cores >= 1)
    yield from wrong("limited", report.limited is None or report.limited >= 1)
    yield from wrong("data.recipe_sha256", _is_digest(data.get("recipe_sha256")))
    yield from wrong("data.sha256", _is_digest(data.get("sha256")))
    yield from wrong("data.images", counts)
    yield from wrong("data.counted", _is_count(data.get("counted", 0), 0))
    yield from wrong("data.metric_key", isinstance(data.get("metric_key", []), list))
    for name in ("set", "notes", "warnings"):
        yield from wrong(f"data.{name}", _is_texts(data.get(name, [])))
    for name in ("name", "kind", "inputs"):
        yield from wrong(f"data.{name}", isinstance(data.get(name, ""), str))
    names = [stage.name for stage in report.stages]
    yield from wrong("stages", bool(names) and len(set(names)) == len(names))
    yield from wrong("reference", report.reference is None or report.reference in names)
    yield from wrong("constant", report.constant is None or report.constant >= 0)
    yield from wrong("groups", _are_groups(report.groups))
    examples = int(images.get("test", 0)) if counts else 0
    expected = Expected(report.metric, error=report.error, examples=examples, groups=report.groups)
    yield from wrong("groups", not report.groups or len(report.groups) == (examples or len(report.groups)))
    for index, stage in enumerate(report.stages):
        yield from _of_stage(f"stages.{index}", stage, names[:index], expected)
    for target, file in report.accepted.items():
        yield from of_file(f"accepted.{target}", file, expected, scored=bool(file.scores))
    for field in ("samples", "references"):
        for index, samples in enumerate(getattr(report, field)):
            yield from of_samples(f"{field}.{index}", samples)
    for index, picture in enumerate(report.pictures):
        sound = picture.path.endswith(".png") and "\0" not in picture.path and picture.row >= 0
        yield from wrong(f"pictures.{index}", sound and _is_digest(picture.sha256))
    if report.preprocessing:
        yield from _of_preprocessing(report.preprocessing)
    for target, runs in report.emulated.items():
        for index, run in enumerate(runs):
            yield from _of_emulated(f"emulated.{target}.{index}", run, expected)


class Expected:
    """What the scores of one report have in common."""

    def __init__(
        self, metric: str, *, error: bool = False, examples: int = 0, groups: Iterable[int] = (), marked: bool = True
    ) -> None:
        """With `marked` the marks of the examples have to give the score."""
        self.metric, self.error, self.examples, self.marked = metric, error, examples, marked
        self.share = metric in METRICS and METRICS[metric].higher and METRICS[metric].points > 1
        self.counted = metric in METRICS and METRICS[metric].counted
        self.groups = len(set(groups))

    def is_score(self, value: float | None, drawn: list[float]) -> bool:
        """Return whether a score is possible, and among its bootstrap draws; a diverged model's have no end either."""
        if value is None:
            return False
        if not math.isfinite(value):
            possible = not self.counted and not (self.share and math.isinf(value))
            return possible and (not drawn or not all(map(math.isfinite, drawn)))
        if self.share and not 0 <= value <= 1:
            return False
        if self.error and self.metric in METRICS and value < 0:
            return False
        finite = [number for number in drawn if math.isfinite(number)]
        if not finite:
            return not drawn
        apart = max(finite) - min(finite) + ROUNDED
        return min(finite) - apart <= value <= max(finite) + apart

    def problems(self, where: str, scores: Mapping[str, float], correct: str, resampled: list[float]) -> Iterator[str]:
        value = scores.get(self.metric)
        yield from wrong(f"{where}.scores.{self.metric}", self.is_score(value, resampled))
        length = len(correct) == (self.examples or len(correct))
        yield from wrong(f"{where}.correct", not correct or (not correct.strip("01") and length))
        slow = self.metric not in METRICS  # a metric of the user's own may be too slow for draws
        yield from wrong(f"{where}.correct", bool(correct or resampled or slow), "it has neither marks nor draws")
        if correct and self.counted and self.marked and value is not None:
            alike = abs(correct.count("1") / len(correct) - value) < ROUNDED
            yield from wrong(f"{where}.correct", alike, f"its marks are not a {self.metric} of {value}")


def of_file(where: str, file: ModelFile, expected: Expected, *, scored: bool = True) -> Iterator[str]:
    """Yield what does not hold together in the facts of one file; one that is not `scored` may lack scores."""
    yield from wrong(f"{where}.path", Path(file.path).suffix == f".{file.kind}" and "\0" not in file.path)
    yield from wrong(f"{where}.precision", bool(file.precision))
    yield from wrong(f"{where}.bytes", file.bytes >= 1)
    yield from wrong(f"{where}.sha256", _is_digest(file.sha256))
    if scored:
        yield from expected.problems(where, file.scores.get("test", {}), file.correct, file.resampled)
        validation = file.scores.get("validation", {}).get(expected.metric)
        yield from wrong(f"{where}.scores.validation", expected.is_score(validation, []))
        losses = [scores["nll"] for scores in file.scores.values() if "nll" in scores]
        yield from wrong(f"{where}.scores.nll", not any(loss < 0 for loss in losses))
    yield from wrong(f"{where}.drawn", file.drawn in (0, expected.groups) if expected.groups else file.drawn >= 0)
    yield from _of_bounds(where, file.bounds, file.worst, expected)
    yield from wrong(f"{where}.opset", file.opset is None or file.opset >= 1)
    yield from wrong(f"{where}.ir", file.ir is None or file.ir >= 1)
    for name, (right, count) in file.recalls.items():
        yield from wrong(f"{where}.recalls.{name}", 0 <= right <= count)
    yield from wrong(f"{where}.confused", all(count >= 1 for *_, count in file.confused))
    for name, count in file.operators.items():
        yield from wrong(f"{where}.operators.{name}", count >= 1)
    for name, count in file.real.items():
        yield from wrong(f"{where}.real.{name}", 1 <= count <= file.operators.get(name, 0))


def _of_stage(where: str, stage: StageFacts, before: list[str], expected: Expected) -> Iterator[str]:
    yield from wrong(f"{where}.name", bool(stage.name))
    yield from wrong(f"{where}.inputs", set(stage.inputs) <= set(before), "it names no stage before it")
    yield from wrong(f"{where}.seconds", 0 <= stage.seconds <= LONGEST_STAGE)
    yield from wrong(f"{where}.parameters", stage.parameters >= 0)
    yield from wrong(f"{where}.macs", stage.macs is None or stage.macs >= 0)
    yield from wrong(f"{where}.files", bool(stage.files), "there is none")
    precisions = {file.precision for file in stage.files}
    yield from wrong(f"{where}.files", len(precisions) == len(stage.files), "two are of one precision")
    kind = "onnx" if stage.kind == "torch" else stage.kind
    for index, file in enumerate(stage.files):
        yield from wrong(f"{where}.files.{index}.kind", file.kind == kind, f"a stage of {stage.kind} makes none")
        yield from of_file(f"{where}.files.{index}", file, expected)
    for index, curve in enumerate(stage.curves):
        sound = len(curve.metric) in (0, len(curve.loss)) and (curve.examples >= 1 or not curve.metric)
        yield from wrong(f"{where}.curves.{index}", sound, "its epochs do not fit together")
    yield from _of_keep(f"{where}.notes.keep", stage.notes.get("keep", []))


def _of_keep(where: str, rows: Any) -> Iterator[str]:
    """Yield what is wrong with the rows of `core.keep`."""
    for index, row in enumerate(rows if isinstance(rows, list) else [None]):
        sound = (
            isinstance(row, dict)
            and isinstance(row.get("by"), str)
            and row.get("of") in ("stage", "recipe")
            and isinstance(row.get("higher"), bool)
            and all(_is_number(row.get(name)) for name in ("float", "least"))
            and isinstance(found := row.get("found"), dict)
            and bool(found)
            and all(map(_is_number, found.values()))
            and _is_texts(missed := row.get("missed", 0))
            and set(missed) <= set(found)
        )
        yield from wrong(f"{where}.{index}", sound)


def _of_preprocessing(times: Preprocessing) -> Iterator[str]:
    sound = all(0 <= time <= LONGEST for time in (*times.read, *times.ready, *times.decode))
    yield from wrong("preprocessing", bool(times.ready) and sound)


def _of_emulated(where: str, run: Emulated, expected: Expected) -> Iterator[str]:
    yield from wrong(f"{where}.agreement", 0 <= run.agreement <= 1)
    if not run.error:
        yield from expected.problems(where, run.scores, run.correct, run.resampled)
        yield from _of_bounds(where, run.bounds, run.worst, expected)


def _of_bounds(
    where: str,
    bounds: Mapping[str, tuple[float, float, float]],
    worst: tuple[str, int, int] | None,
    expected: Expected,
) -> Iterator[str]:
    for name, (value, low, high) in bounds.items():
        yield from wrong(f"{where}.bounds.{name}", 0 <= low <= value <= high <= 1)
    if worst:
        _, right, count = worst
        yield from wrong(f"{where}.worst", 0 <= right <= count and 0 < count <= (expected.examples or count))


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _is_count(value: Any, least: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)


def _are_groups(groups: list[int]) -> bool:
    return not groups or set(groups) == set(range(max(groups) + 1))


def is_date(text: str) -> bool:
    """Return whether a text is a date as reports have it."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
