"""Tell kinds of data apart by their path, and list the options of each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from ..core import foreign
from ..core.errors import suggest
from ..core.user_code import is_function, parts, undefined
from .dataset import NAMES

Kind = Literal["folder", "table", "arrays", "user", "hub", "shipped"]
"""What there is to read. `shipped` is a data set by its name; each other has a module here, with
`read(source, path) -> Examples | Dataset`."""

MODULES: dict[Kind, str] = {
    "folder": ".folder",
    "table": ".table",
    "arrays": ".arrays",
    "user": ".function",
    "hub": ".hub",
}

HUB = "hf://"
"""What a data set of Hugging Face begins with."""
_ON_HUB = re.compile(HUB + r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?")
_SAVED = ("dataset_dict.json", "state.json", "dataset_info.json")
"""Files of a folder that `save_to_disk` of Hugging Face wrote; the first is that of several splits."""

_SUFFIXES: dict[str, Kind] = {".csv": "table", ".tsv": "table", ".npz": "arrays", ".json": "hub"}
_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
_IMAGES = {"size", "color", "resize", "unreadable"}

TAKES: dict[Kind, set[str]] = {
    "folder": {*_IMAGES, "group", "labels", "masks", "pictures", "boxes", "task"},
    "table": {*_IMAGES, "image", "label", "labels", "columns", "group", "task"},
    "arrays": {"labels", "task", "flip_pairs"},
    "user": {"args", "task", "flip_pairs", "size", "color", "resize", "image", "label"},
    "hub": {"args", "task", "size", "color", "resize", "image", "label"},
    "shipped": set(),
}
"""The options that each kind has beside `from` and `split`."""

DECODED: tuple[Kind, ...] = ("folder", "table")
"""What may name image files, which take the time: these are told how many examples are enough."""

WHAT = {
    "folder": "a folder of images", "table": "a CSV", "arrays": "an .npz", "user": "a function",
    "hub": "a data set of Hugging Face", "shipped": "a shipped data set",
}  # fmt: skip

_READS = "a folder of images, a .csv, an .npz, `hf://OWNER/NAME` and `FILE.py:FUNCTION` are read"


def kind_of(text: str) -> Kind:
    """Tell what a path leads to by its name; a bare name that is a data set's is that data set."""
    if text in NAMES:
        return "shipped"
    if text.startswith(HUB):
        return "hub"
    return "user" if is_function(text) else _SUFFIXES.get(Path(text).suffix.lower(), "folder")


def file_of(text: str) -> str:
    """Return the path in `./my_data.py:load`."""
    return parts(text)[0] if is_function(text) else text


def missing(text: str, base: Path) -> tuple[str, str] | None:
    """Return what is wrong with a path, and the next act."""
    if text.startswith(HUB):
        named = _ON_HUB.fullmatch(text) is not None
        return None if named else (f"`{text}` names no data set of Hugging Face", "for example `hf://OWNER/NAME@main`")
    path = base / file_of(text)
    if wrong := foreign.refused(file_of(text), path):
        return wrong
    if path.suffix.lower() in _ARCHIVES:
        return "archives are not read", "unpack it, and name the folder"
    if not path.exists():
        beside = path.parent
        known = [entry.name for entry in beside.iterdir() if not entry.name.startswith(".")] if beside.is_dir() else []
        if "/" not in text:
            known += NAMES
        return f"there is no file or folder `{text}`", suggest(
            path.name, known, "a path counts from the recipe's folder"
        )
    if path.is_dir() and (saved := next((name for name in _SAVED if (path / name).is_file()), None)):
        return f"`{text}` is a data set that `save_to_disk` wrote", f"name its file: `{Path(text, saved).as_posix()}`"
    if path.suffix.lower() == ".json" and path.name not in _SAVED:
        return f"`{text}` is none of the files that `save_to_disk` writes", f"for example `{_SAVED[0]}`"
    if path.suffix.lower() == ".py" and not is_function(text):
        return f"`{text}` names no function", f"for example `{text}:load`"
    if path.is_dir() == (is_function(text) or path.suffix.lower() in _SUFFIXES):
        return f"`{text}` is a {'folder' if path.is_dir() else 'file'} of no kind that is read", _READS
    if not path.is_dir() and (other := foreign.kind(path)):
        return f"`{text}` is {other}, not a file", "copy its content into a file, and name that"
    return undefined(path, parts(text)[1]) if is_function(text) else None


def unannotated(text: str, recipe: Path) -> tuple[str, str] | None:
    """Return what is wrong with the path of annotations of boxes, beside `recipe`, and the next act."""
    path = recipe.parent / text
    if wrong := foreign.refused(text, path):
        return wrong
    if not path.exists():
        known = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        return f"there is no file or folder `{text}`", suggest(
            path.name, known, "a path counts from the recipe's folder"
        )
    if path.is_dir() or path.suffix.lower() == ".json":
        return None if path.is_dir() else foreign.missing(path, text, "")
    return f"`{text}` is no annotation of boxes that is read", "COCO's .json, or a folder of .xml or of .txt files"
