"""Compare recipes as they are written: seeds of a repetition, last files, and what stands in a table beside others."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from ...config.recipe import Recipe
from ...core.document import Document
from ...core.errors import Problem, UserError
from ...core.yamlio import dump, parse

APART = 1000
"""Between the seeds of one repetition and those of the next."""


def document(recipe: Recipe, stages: list[dict[str, Any]], repetition: int, labels: int | None = None) -> Document:
    """Return a recipe of these stages, with the seeds of a repetition; paths count from the recipe's folder.

    With `labels`, the task keeps only so many.
    """
    task = recipe.document.data["task"] | ({} if labels is None else {"labels": labels})
    data = {"name": recipe.name, "task": task, "targets": []}
    return _moved(recipe, data | {"stages": stages}, repetition)


def again(recipe: Recipe, repetition: int) -> Document:
    """Return the whole recipe, with the seeds of a repetition."""
    return _moved(recipe, recipe.document.data, repetition)


def last(recipe: Recipe, *, tflite: bool = False) -> dict[bool, str]:
    """Return the labels of the last float file (False) and the last int8 file (True), ONNX or TFLite, if any."""
    integer, labels = set(), {}
    for step in recipe.steps():
        if step.stage.family == "quantize" or step.input in integer:
            integer.add(step.label)
        if step.kind == ("tflite" if tflite else "onnx"):
            labels[step.label in integer] = step.label  # the last of each
    return labels


def ends(recipe: Recipe, *, tflite: bool = False) -> tuple[str, str]:
    """Return `last` of both. Raises: UserError where one is missing."""
    labels = last(recipe, tflite=tflite)
    kind = "TFLite" if tflite else "ONNX"
    for int8, precision, use in ((False, "float", "export.onnx"), (True, "int8", "quantize.static")):
        if int8 not in labels:
            message = (
                f"`{recipe.name}` makes no {precision} {kind} file, and `compare` shows one before and one after int8"
            )
            help = f"add `- use: {use}`"
            if tflite:
                help = "add a `- use: convert.tflite` after each, or judge ONNX files: `--target host`"
            raise UserError([Problem(message, help, recipe.document.place(("stages",)))])
    return labels[False], labels[True]


def chained(recipe: Recipe) -> str:
    """Describe a recipe in a line: `2 x load, fuse.ensemble, distill.kd, export.onnx, quantize.static`."""
    runs = [(use, len(list(same))) for use, same in groupby(step.stage.use for step in recipe.steps())]
    return ", ".join(f"{count} x {use}" if count > 1 else use for use, count in runs)


def alike(recipes: Sequence[Recipe]) -> None:
    """Refuse recipes of the same name. Raises: UserError."""
    names: set[str] = set()
    for recipe in recipes:
        if recipe.name in names:
            message = f"two recipes are called `{recipe.name}`"
            raise UserError([Problem(message, "rename this one, or the other", recipe.document.place(("name",)))])
        names.add(recipe.name)


def _moved(recipe: Recipe, data: dict[str, Any], repetition: int) -> Document:
    from ...stages import TABLE

    def seed(own: int | str | None) -> int:
        """Return the first repetition's: 0 is a seed too, and not that of the task."""
        return recipe.task.seed if own is None else int(own)

    moved = [
        {**stage, "seed": seed(stage.get("seed")) + APART * repetition}
        if repetition and "seed" in TABLE[stage["use"]].model_fields
        else stage
        for stage in data["stages"]
    ]
    path = recipe.document.path.with_name(f"{recipe.name} (compared, repetition {repetition}).yaml")
    return parse(Document(path, dump(data | {"stages": moved})))
