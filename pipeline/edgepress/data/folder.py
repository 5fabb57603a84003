"""Read a folder of images: one folder per class, at any depth.

Or `train`, `validation` and `test` folders with these.

With `labels: imagenet`, or with other labels and no class folders, it is any folder of images, which have no labels.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ..core.errors import UserError, suggest
from . import files, images, listing
from .examples import Examples
from .listing import Skipped
from .source import Source
from .words import class_order, several

PARTS = {"train": "train", "training": "train", "validation": "validation", "valid": "validation"} | {
    "val": "validation", "test": "test",
}  # fmt: skip
"""What folders of given splits are called."""


def read(source: Source, path: Path, limit: int | None = None, cache: Path | None = None) -> Examples:
    """Read examples in the order of their paths, whatever the order on the disk, or some `limit` for each split.

    Raises: UserError.
    """
    if source.labels in ("imagenet", "none"):
        return _unlabelled(source, path, limit, imagenet() if source.labels == "imagenet" else (), cache)
    skipped = Skipped()
    tops, listed = listing.folders(path, skipped), source.listed
    listable(path, skipped, source)
    if listed and not tops:
        return _unlabelled(source, path, limit, listed, cache)
    parts = {top: PARTS.get(top.name.lower()) for top in tops}
    split_by_folders = bool(tops) and all(parts.values())
    if not split_by_folders:
        _unmixed(path, parts)
    classes = [folder for top in tops for folder in listing.folders(top, skipped)] if split_by_folders else tops
    if not classes:
        raise UserError(
            f"`{path.name}` has no class folders", "one folder a class: cat/1.jpg, dog/1.jpg; or a CSV with `image`"
        )
    if loose := [listing.below(file, path) for file in listing.images(path, skipped, deep=False)]:
        raise UserError(
            f"`{path.name}` has images outside of its class folders: {several(loose)}",
            "move them into the folder of their class, or out of this one",
        )
    for top in tops if split_by_folders else ():
        if top not in {folder.parent for folder in classes}:
            skipped.add("no class folders in it", f"folder `{top.name}`")
        for file in listing.images(top, skipped, deep=False):
            skipped.add("outside of the class folders", listing.kind(listing.below(file, top)))
    found = {folder: listing.images(folder, skipped) for folder in classes}
    listable(path, skipped, source)
    if empty := [folder for folder, images_there in found.items() if not images_there]:
        named = several([f"`{folder.relative_to(path)}`" for folder in empty])
        raise UserError(
            f"`{path.name}`: no images in {named}{_instead(empty[0])}",
            _images_are(skipped),
        )
    names = sorted({folder.name for folder in classes}, key=class_order)
    if unknown := [name for name in names if listed and name not in listed]:
        raise UserError(
            f"`{path.name}` has a folder `{unknown[0]}`, which is none of the {len(listed)} `labels`",
            _quoted(unknown[0], listed) or suggest(unknown[0], listed),
        )
    labels = {label: index for index, label in enumerate(listed or names)}
    paths = [file for images_there in found.values() for file in images_there]
    warnings = (*listing.twins(paths, path), *_masks(found, path))
    each = [len(images_there) for images_there in found.values()]
    y = np.repeat(np.array([labels[folder.name] for folder in found], np.int64), each)
    part = np.repeat([str(parts[folder.parent]) for folder in found], each) if split_by_folders else None
    if limit is not None:
        folder_of = np.repeat(range(len(found)), each)
        chosen = images.some(folder_of.tolist(), () if part is None else part.tolist(), limit)
        paths, y, part = [paths[i] for i in chosen], y[chosen], None if part is None else part[chosen]
    groups = groups_of(paths, source.group, path)
    x, rows = files.read(paths, path, source, skipped, cache=cache)
    return Examples(
        x,
        y[rows],
        tuple(labels),
        kinds={"input": "image"},
        groups=None if groups is None else groups[rows],
        part=None if part is None else part[rows],
        labels_listed=bool(listed),
        files=images.few(paths, rows),
        notes=skipped.notes(path.name),
        warnings=warnings,
    )


def _unmixed(path: Path, parts: dict[Path, str | None]) -> None:
    """Raise UserError where folders of splits, which have class folders, stand beside others.

    `train`, `car` and `plane` are classes; `train` and `val` with folders in them are splits, and `extra` is neither.
    """
    splits = [top for top, part in parts.items() if part and listing.folders(top, Skipped())]
    rest = [f"`{top.name}`" for top in parts if top not in splits]
    if len({parts[top] for top in splits}) > 1 and parts:
        raise UserError(
            f"`{path.name}` has {' and '.join(f'`{top.name}`' for top in splits)}, splits with class folders, beside "
            f"{several(rest)}",
            "move the other folders elsewhere, or rename those that are splits",
        )


def listable(path: Path, skipped: Skipped, source: Source) -> None:
    """Count folders that cannot be listed, or refuse them as unreadable files."""
    if skipped.unlisted and source.unreadable == "refuse":
        count = f"{len(skipped.unlisted)} folder{'s' * (len(skipped.unlisted) > 1)}"
        raise UserError(
            f"`{path.name}`: {count} cannot be read: {several(skipped.unlisted)}",
            "look at their permissions, or leave them out: `unreadable: skip`",
        )
    skipped.add("cannot be listed", "folder", len(skipped.unlisted))
    skipped.unlisted.clear()


def _images_are(skipped: Skipped) -> str:
    usual = f"images are {' '.join(images.SUFFIXES)}, and what else Pillow reads"
    return listing.INSTALL if listing.INSTALL in skipped.counts else usual


def _masks(files: dict[Path, list[str]], root: Path) -> tuple[str, ...]:
    """Warn of a class folder `masks` beside `images`, whose files have the same names."""
    photos = [folder for folder in files if listing.PHOTOS.fullmatch(folder.name)]
    named = {Path(file).stem for folder in photos for file in files[folder]}
    return tuple(
        f"`{root.name}`: the folder `{folder.name}` is read as a class, and {pairs} of its {len(own)} images have the "
        f"names of those in `{photos[0].name}`: move masks out of the folder"
        for folder, own in files.items()
        if listing.MASKS.fullmatch(folder.name) and (pairs := sum(Path(file).stem in named for file in own))
    )


def _quoted(name: str, listed: tuple[str, ...]) -> str:
    """Return the next act where `01` became the number 1."""
    number = name.lstrip("0") or "0"
    known = name.isdecimal() and number in listed
    return f'in YAML, {name} is the number {number}: write it in quotes, `"{name}"`' if known else ""


def _unlabelled(source: Source, path: Path, limit: int | None, labels: tuple[str, ...], cache: Path | None) -> Examples:
    skipped = Skipped()
    paths = listing.images(path, skipped)
    listable(path, skipped, source)
    warnings = listing.twins(paths, path)
    paths = [paths[i] for i in images.some([path] * len(paths), (), limit)]
    if not paths:
        raise UserError(f"`{path.name}`: no images{_instead(path)}", _images_are(skipped))
    groups = groups_of(paths, source.group, path)
    x, rows = files.read(paths, path, source, skipped, cache=cache)
    return Examples(
        x,
        np.zeros(len(x), np.int64),
        labels,
        kinds={"input": "image"},
        groups=None if groups is None else groups[rows],
        labelled=False,
        files=images.few(paths, rows),
        notes=skipped.notes(path.name),
        warnings=warnings,
    )


def side(path: Path, most: int) -> int:
    """Propose a size for photos: the median shorter side, rounded down to a multiple of 32, up to `most`."""
    sides = sorted(map(min, images.sizes(listing.images(path, Skipped()), path)))
    return max(32, min(most, sides[len(sides) // 2] // 32 * 32)) if sides else most


def imagenet() -> tuple[str, ...]:
    """Return the names of ImageNet's 1,000 classes (WordNet's lemmas, from timm), in the order of networks' outputs.

    Two pairs have one name, such as the crane that flies and the one that lifts: these are told by their synset.
    """
    spec = find_spec("timm")  # whose import takes seconds and 700 MB, with torch
    assert spec is not None
    folder = Path((spec.submodule_search_locations or [])[0], "data", "_info")
    with Path(folder, "imagenet_synset_to_lemma.txt").open(encoding="utf-8", newline="") as file:
        lemmas = dict(csv.reader(file, delimiter="\t"))
    synsets = Path(folder, "imagenet_synsets.txt").read_text(encoding="utf-8").split()
    count = Counter(lemmas[each] for each in synsets)
    return tuple(lemmas[each] if count[lemmas[each]] == 1 else f"{lemmas[each]} ({each})" for each in synsets)


def _instead(folder: Path) -> str:
    """Describe the most common suffix of what is there instead."""
    suffixes = Counter(file.suffix for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    if not suffixes:
        return ""
    suffix, count = suffixes.most_common(1)[0]
    return f", which has {count} {suffix} file{'s' * (count > 1)}"


def groups_of(files: Sequence[str], pattern: str | None, root: Path) -> np.ndarray | None:
    """Match `pattern` in each path from `root`: its first group, or all of the match."""
    if pattern is None:
        return None
    paths = [listing.below(file, root) for file in files]
    matches = [re.search(pattern, path) for path in paths]
    if unmatched := [path for path, match in zip(paths, matches, strict=True) if match is None]:
        count = f"{len(unmatched)} of {len(paths)} paths"
        raise UserError(f"`{root.name}`: `group: {pattern}` finds nothing in {count}: {several(unmatched)}")
    return np.array([match[1 if match.re.groups else 0] or "" for match in matches if match])
