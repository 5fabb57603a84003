"""Implement `cp` and `diff`: copies of recipes and targets with their source."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from .. import __version__
from ..config import target
from ..core import names, paths, yamlio
from ..core.document import Document, Loc
from ..core.errors import Mistake, UserError, suggest
from ..core.yamledit import edited, line_break
from . import catalog

NOTE = re.compile(r"^# copied from edgepress (?P<version>\S+) (?P<kind>recipe|target|file) (?P<name>.*\S)\s*$", re.M)
SCHEMA = re.compile(r"^# yaml-language-server: \$schema=(\S+)[^\S\n]*\r?\n", re.M)
FUNCTION = re.compile(r"(.+\.py)(:\w+)")
"""A function of a user's module: `./my_data.py:load`."""


def copy(name: str, path: Path, *, force: bool = False) -> Path:
    """Copy the recipe or target called `name` to `path`; the file that it was copied from.

    Raises: UserError when `path` is there already and not `force`, or cannot be the name of one.
    """
    source = catalog.find(name, but=path)
    if path.suffix not in (".yaml", ".yml"):
        named = path / source.name if path.is_dir() else f"{path}.yaml"
        raise UserError(f"`{path}` is not the name of a recipe or target", f"write `{named}`")
    if path.exists() and source.exists() and path.samefile(source):
        raise UserError(f"`{path}` is the file to copy", "choose another name")
    write({path: copied(source, path)}, force=force)
    return source


def copied(source: Path, path: Path, called: str | None = None) -> str:
    """Return the text of `source` as the file `path`: renamed, with a note of its source and its paths adapted."""
    document = yamlio.read(source)
    if not isinstance(document.data, dict):
        raise UserError(f"`{source}` is neither a recipe nor a target")
    name = path.stem if called is None else called
    try:
        names.valid(name)
    except Mistake as mistake:
        raise UserError(f"`{name}`: {mistake}", mistake.help) from None
    text = edited(document, {("name",): name, **_moved(document, path)})
    return _with_note(_with_schema(text, source, path), source, path)


def diff(path: Path, against: str | None = None) -> str:
    """Return a unified diff from the current source of `path` to `path`; empty when there is no change.

    Raises: UserError when the file notes no source, or one that is no more.
    """
    document = yamlio.read(path)
    source = catalog.find(against, but=path) if against else _source(document)
    name = document.data.get("name") if isinstance(document.data, dict) else None
    fresh = copied(source, path, name if isinstance(name, str) else None)
    before, after = _without_header(fresh).splitlines(), document.text.splitlines()
    # With the header of the copy above it, the lines of the source have the numbers that they have in the copy.
    for number, line in enumerate(after):
        if _without_header(f"{line}\n") == "":
            before.insert(number, line)
    return "\n".join(difflib.unified_diff(before, after, _label(source, path), str(path), lineterm=""))


def write(files: Mapping[Path, str], *, force: bool = False) -> None:
    """Write all of `files`, or none of them. Raises: UserError when one is there already and not `force`."""
    there = [path for path in files if path.exists() or path.is_symlink()]
    if there and not force:
        raise UserError(f"`{there[0]}` is there already", "choose another name, or add `--force`")
    written: list[Path] = []
    try:
        for path, text in files.items():
            with paths.replacing(path, "choose a folder that can be written") as temporary:
                temporary.write_text(text, encoding="utf-8", newline="")
            written.append(path)
    except UserError:
        for path_ in written:
            path_.unlink()
        raise


def _source(document: Document) -> Path:
    note = NOTE.search(document.text)
    if note is None:
        help = "name it by `--against NAME`; `edgepress cp` records it in each copy"
        raise UserError(f"`{document.path}` does not record its source", help)
    if note["kind"] == "file":
        return document.path.parent / note["name"]
    folder = paths.folder_of(f"{note['kind']}s")
    if (source := folder / f"{note['name']}.yaml").is_file():
        return source
    known = [file.stem for file in folder.glob("*.yaml") if not file.name.endswith(".lock.yaml")]
    raise UserError(f"edgepress {__version__} has no {note['kind']} `{note['name']}`", suggest(note["name"], known))


def _label(source: Path, path: Path) -> str:
    """Return `edgepress 0.1.0 recipe mobilenet`, or `… file` with its path from the copy's folder."""
    for folder, kind in catalog.KINDS.items():
        if source.resolve().parent == paths.folder_of(folder).resolve():
            return f"edgepress {__version__} {kind} {source.stem}"
    return f"edgepress {__version__} file {relative(source, path)}"


def _with_note(text: str, source: Path, path: Path) -> str:
    text = NOTE.sub("", text, count=1).lstrip("\r\n")
    first = SCHEMA.match(text)
    at = first.end() if first else 0
    return f"{text[:at]}# copied from {_label(source, path)}{line_break(text)}{text[at:]}"


def _with_schema(text: str, source: Path, path: Path) -> str:
    """Return the text with its line for editors, if that leads somewhere from `path`: never to a folder outside
    this one."""
    line = SCHEMA.search(text)
    if line is None or "://" in line[1] or (path.parent / line[1]).is_file():
        return text
    file = (source.parent / line[1]).resolve()
    if file.is_file() and file.is_relative_to(Path.cwd()):
        return text[: line.start(1)] + relative(file, path) + text[line.end(1) :]
    return text[: line.start()] + text[line.end() :]


def _without_header(text: str) -> str:
    return re.sub(r"^# copied from edgepress .*\n?", "", SCHEMA.sub("", text), flags=re.M)


def _moved(document: Document, path: Path) -> dict[Loc, str]:
    """Return the paths of `document` that lead elsewhere from `path`, each as seen from there."""
    moved: dict[Loc, str] = {}
    for loc, value in document.scalars():
        if not isinstance(value, str):
            continue
        if loc[0] == "targets" and "budgets" in loc:
            continue
        if loc[0] == "targets" and not value.endswith((".yaml", ".yml")):
            file, there = _target(value, document.path), _target(value, path)
            own = file is not None and file.resolve().parent != paths.folder_of("targets").resolve()
            if file and (there is None or (own and not there.samefile(file))):
                moved[loc] = relative(file, path)
            continue
        function = FUNCTION.fullmatch(value)
        file = document.path.parent / (function[1] if function else value)
        there_ = path.parent / (function[1] if function else value)
        looks_like_one = "/" in value or "." in value
        if looks_like_one and os.path.exists(file) and not (os.path.exists(there_) and there_.samefile(file)):
            moved[loc] = relative(file, path) + (function[2] if function else "")
    return moved


def _target(name: str, recipe: Path) -> Path | None:
    try:
        return target.find(name, recipe)
    except UserError:
        return None


def relative(file: Path, path: Path) -> str:
    """Return `file` relative to the folder of `path`, with a `./` that distinguishes it from a name."""
    way = Path(os.path.relpath(file.resolve(), path.parent.resolve())).as_posix()
    return way if way.startswith("../") else f"./{way}"
