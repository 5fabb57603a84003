"""Read a folder of images: one folder per class, at any depth.

Or `train`, `validation` and `test` folders with these.

With `labels: imagenet`, or with other labels and no class folders, it is any folder of images, which have no labels.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import numpy as np

from ..core.errors import UserError, suggest
from . import images
from .examples import Examples, class_order, several
from .source import Source

_PARTS = {"train": "train", "training": "train", "validation": "validation", "valid": "validation"} | {
    "val": "validation", "test": "test",
}  # fmt: skip
"""What folders of given splits are called."""


def read(source: Source, path: Path, enough: int | None = None) -> Examples:
    """Read examples in the order of their paths, whatever the order on the disk, or about `enough` of them.

    Raises: UserError.
    """
    if source.labels == "imagenet":
        return _unlabelled(source, path, enough, imagenet())
    tops, listed = _folders(path), source.listed
    if listed and not tops:
        return _unlabelled(source, path, enough, listed)
    parts = {top: _PARTS.get(top.name.lower()) for top in tops}
    split_by_folders = bool(tops) and all(parts.values())
    classes = [folder for top in tops for folder in _folders(top)] if split_by_folders else tops
    if not classes:
        raise UserError(
            f"`{path.name}` has no class folders", "one folder a class: cat/1.jpg, dog/1.jpg; or a CSV with `image`"
        )
    if loose := [file.name for file in _files(path, deep=False)]:
        raise UserError(f"`{path.name}` has images outside of its class folders: {several(loose)}")
    files = {folder: _files(folder) for folder in classes}
    if empty := [folder for folder, images_there in files.items() if not images_there]:
        named = several([f"`{folder.relative_to(path)}`" for folder in empty])
        raise UserError(
            f"`{path.name}`: no images in {named}{_instead(empty[0])}",
            "images are " + " ".join(images.SUFFIXES),
        )
    names = sorted({folder.name for folder in classes}, key=class_order)
    if unknown := [name for name in names if listed and name not in listed]:
        raise UserError(
            f"`{path.name}` has a folder `{unknown[0]}`, which is none of the {len(listed)} `labels`",
            _quoted(unknown[0], listed) or suggest(unknown[0], listed),
        )
    labels = {label: index for index, label in enumerate(listed or names)}
    paths = [file for images_there in files.values() for file in images_there]
    folder_of = [folder for folder, images_there in files.items() for _ in images_there]
    chosen = images.spread(folder_of, enough)
    paths, folder_of = [paths[i] for i in chosen], [folder_of[i] for i in chosen]
    groups = _groups([str(file.relative_to(path).as_posix()) for file in paths], source.group, path.name)
    x, rows = images.read(paths, path, source)
    return Examples(
        x,
        np.array([labels[folder.name] for folder in folder_of], np.int64)[rows],
        tuple(labels),
        kinds={"input": "image"},
        groups=None if groups is None else groups[rows],
        part=np.array([parts[folder.parent] for folder in folder_of])[rows] if split_by_folders else None,
        labels_listed=bool(listed),
        files=images.few(paths, rows),
    )


def _quoted(name: str, listed: tuple[str, ...]) -> str:
    """Return the next act where `01` became the number 1."""
    number = name.lstrip("0") or "0"
    known = name.isdecimal() and number in listed
    return f'in YAML, {name} is the number {number}: write it in quotes, `"{name}"`' if known else ""


def _unlabelled(source: Source, path: Path, enough: int | None, labels: tuple[str, ...]) -> Examples:
    paths = _files(path)
    paths = [paths[i] for i in images.spread([path] * len(paths), enough)]
    if not paths:
        raise UserError(f"`{path.name}`: no images{_instead(path)}", "images are " + " ".join(images.SUFFIXES))
    names = [str(file.relative_to(path).as_posix()) for file in paths]
    groups = _groups(names, source.group, path.name)
    x, rows = images.read(paths, path, source)
    return Examples(
        x,
        np.zeros(len(x), np.int64),
        labels,
        kinds={"input": "image"},
        groups=None if groups is None else groups[rows],
        labelled=False,
        files=images.few(paths, rows),
    )


def side(path: Path, most: int) -> int:
    """Propose a size for photos: the median shorter side, rounded down to a multiple of 32, up to `most`."""
    sides = sorted(map(min, images.sizes(_files(path), path)))
    return max(32, min(most, sides[len(sides) // 2] // 32 * 32)) if sides else most


def imagenet() -> tuple[str, ...]:
    """Return the names of ImageNet's 1,000 classes (WordNet's lemmas, from timm), in the order of networks' outputs.

    Two pairs have one name, such as the crane that flies and the one that lifts: these are told by their synset.
    """
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    names = [info.index_to_description(index, detailed=False) for index in range(info.num_classes())]
    count = Counter(names)
    return tuple(
        name if count[name] == 1 else f"{name} ({info.index_to_label_name(index)})" for index, name in enumerate(names)
    )


def _folders(path: Path) -> list[Path]:
    return sorted(folder for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith("."))


def _files(folder: Path, deep: bool = True) -> list[Path]:
    """List image files, sorted; hidden files and folders are left out."""
    paths = []
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if deep and not name.startswith("."))
        paths += [
            Path(where, name) for name in names if not name.startswith(".") and name.lower().endswith(images.SUFFIXES)
        ]
    return sorted(paths)


def _instead(folder: Path) -> str:
    """Describe the most common suffix of what is there instead."""
    suffixes = Counter(file.suffix for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    return f", which has {max(suffixes.values())} {max(suffixes, key=lambda s: suffixes[s])} files" if suffixes else ""


def _groups(paths: list[str], pattern: str | None, name: str) -> np.ndarray | None:
    """Match `pattern` in each path: its first group, or all of the match."""
    if pattern is None:
        return None
    matches = [re.search(pattern, path) for path in paths]
    if unmatched := [path for path, match in zip(paths, matches, strict=True) if match is None]:
        count = f"{len(unmatched)} of {len(paths)} paths"
        raise UserError(f"`{name}`: `group: {pattern}` finds nothing in {count}: {several(unmatched)}")
    return np.array([match[1 if match.re.groups else 0] or "" for match in matches if match])
