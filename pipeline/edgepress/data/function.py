"""Read data from the user's function, `./my_data.py:load`.

It is run because the recipe names it.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

from ..core.errors import UserError
from ..core.user_code import Function, parts, theirs
from . import copied
from .dataset import Dataset, Input, numbered
from .examples import Examples
from .pairs import Origin, by_part
from .source import Source
from .split import SPLITS


def read(source: Source, path: Path, limit: int | None = None, cache: Path | None = None) -> Examples | Dataset:
    """Call the function with `args`, and check what it returns. Raises: UserError.

    A data set that gives examples one at a time is copied into `cache`, or `limit` or so for each split of it.
    """
    function = Function.at(path, parts(source.source)[1])
    returned = function(**source.args)
    if given := by_part(returned):

        def failed(error: Exception, number: int) -> UserError:
            return theirs(error, function.path, f"{function.about}, at example {number},")

        # The same lines in another folder, or run from another one, read other files.
        key = (function.digest, function.name, str(function.path.resolve()), str(Path.cwd()))
        return copied.examples(given, source, Origin(key, failed), limit, cache)
    if odd := sorted(source.model_fields_set & {"size", "color", "resize", "image", "label"}):
        raise UserError(
            f"`{odd[0]}` is of examples that come one at a time, and `{source.source}` returned a "
            f"{type(returned).__name__}",
            f"take `{odd[0]}` out, or return a data set of (image, label)",
        )
    if isinstance(returned, Dataset):
        if lacking := [split for split in SPLITS if split not in returned.splits or not len(returned[split].y)]:
            raise UserError(f"`{source.source}` returned a Dataset without {', '.join(lacking)}")
        for input in returned.inputs:
            _checked(source.source, input)
        for split, (x, y) in returned.splits.items():
            if len(x) != len(y):
                raise UserError(f"`{source.source}`: `{split}` has {len(x)} examples, and {len(y)} labels")
        _verify(source, returned)
        if more := [f"`{split}`" for split in returned.splits if split not in SPLITS]:
            notes = (f"`{source.source}`: the splits {', '.join(more)} are not read",)
            returned = replace(returned, notes=(*returned.notes, *notes))
        if returned.groups is None:
            return returned
        if len(returned.groups) != (count := len(returned["test"].y)):
            raise UserError(
                f"`{source.source}`: `groups` has {len(returned.groups)} values, and the test split has {count}"
            )
        return replace(returned, groups=numbered(returned.groups))
    if not isinstance(returned, Examples):
        raise UserError(
            f"`{source.source}` returned a {type(returned).__name__}",
            "return `edgepress.Examples(x, y)`, an `edgepress.Dataset`, or a data set of (image, label)",
        )
    return replace(returned, flip_pairs=source.flip_pairs or returned.flip_pairs)


def _verify(source: Source, data: Dataset) -> None:
    """Raise UserError where the targets of a Dataset are not what its task takes."""
    if source.flip_pairs:
        raise UserError(
            f"`{source.source}` returned a Dataset, which has `flip_pairs` of its own",
            "give them there, by number: `Dataset(…, flip_pairs=((0, 1),))`",
        )
    paired = Counter(place for pair in data.flip_pairs for place in pair)
    points = range(len(data.labels) if data.task == "keypoints" else 0)
    if any(place not in points or count > 1 for place, count in paired.items()):
        raise UserError(
            f"`{source.source}` returned a Dataset with `flip_pairs={data.flip_pairs}`, and it has {len(points)} "
            "points of keypoints, which count from 0",
            "pairs of points that change places in a mirror, each in one pair: `flip_pairs=((0, 1),)`",
        )
    data.targets.verify_inputs([input.name for input in data.inputs])
    size = data.inputs[0].shape[1:] if [input.kind for input in data.inputs] == ["image"] else None
    for split, (_, y) in data.splits.items():
        try:
            data.targets.verify(y, data.labels, size)
        except UserError as error:
            problem = error.problems[0]
            raise UserError(f"`{source.source}`: `{split}`: {problem.message}", problem.help) from error
        if split in SPLITS and data.labelled and (reason := data.targets.reject_split(y, data.labels)):
            raise UserError(f"`{source.source}`: the {split} split has {reason[0]}", reason[1])


def _checked(name: str, input: Input) -> None:
    """Raise UserError unless `input` has a mean and a deviation for each channel or column."""
    if input.kind == "tokens":
        return
    wanted = input.shape[0]
    sound = all(map(math.isfinite, (*input.mean, *input.std, input.scale))) and min((*input.std, input.scale)) > 0
    if not {len(input.mean), len(input.std)} <= {1, wanted} or not sound:
        raise UserError(
            f"`{name}` returned a Dataset whose input `{input.name}` has {len(input.mean)} means and "
            f"{len(input.std)} deviations, and {wanted} each are needed: finite, and deviations above 0",
            "`mean=(0,) * channels, std=(1,) * channels` leave values as they are; "
            "`edgepress.data.dataset.measured` takes those of the training examples",
        )
