"""List and find recipes, targets, stages, data sets and networks by name.

Recipes and targets are looked up here first, then among the shipped ones.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from ..config import target
from ..core import foreign, names, paths, printable, yamlio
from ..core.errors import UserError, suggest
from ..data import dataset
from ..stages import TABLE

KINDS = {"recipes": "recipe", "targets": "target"}
MOST_MODELS = 40
"""More networks than this are counted, not listed."""
WIDTH = 100
_HEAD = 65_536
"""Bytes of a file whose comment is looked at."""
MODELS = "models"
LISTS = "`edgepress ls recipes`, `targets`, `stages`, `'data sets'` or `models` lists all of a kind"


def files(kind: str) -> dict[str, Path]:
    """Return the `recipes` or `targets` by name: shipped, in `./KIND/`, and here; of the same name the last counts."""
    named: dict[str, Path] = {}
    for folder in (paths.folder_of(kind), Path(kind), Path()):
        every = [path for end in reversed(paths.YAML) for path in folder.glob(f"*{end}") if path.is_file()]
        named |= {
            path.stem: path
            for path in every
            if not path.stem.endswith(".lock") and (folder != Path() or paths.kind_of(path) == kind)
        }
    return dict(sorted(named.items()))


def find(name: str, *kinds: str, but: Path | None = None) -> Path:
    """Return the file that a person calls `name`: a path as it is, or the name of one of `kinds`, by default all.

    A name is looked for here, as `NAME.yaml`, in `./KIND/`, and among what is shipped. `but` is never found by a name.
    Raises: UserError for a bare name that is none. A path may lead nowhere.
    """
    path = Path(name)
    if wrong := foreign.refused(name, path):
        raise UserError(*wrong)
    if path.is_file() or path.suffix in paths.YAML:
        return path
    if len(path.parts) > 1:
        return paths.called(path.name, path.parent) or path
    wanted = kinds or tuple(KINDS)
    for kind in wanted:
        here = (paths.called(name, Path(), kind), paths.called(name, Path(kind)), paths.shipped(name, kind))
        for file in here:
            if file and not (but and but.exists() and file.samefile(but)):
                return paths.chosen(name, kind, file)
    if path.exists():
        return path
    called = " or ".join(KINDS[kind] for kind in wanted)
    for kind, word in KINDS.items():
        if kind not in wanted and name in files(kind):
            raise UserError(f"there is no {called} `{name}`", f"`{name}` is a {word}")
    known = [known_name for kind in wanted for known_name in files(kind)]
    raise UserError(f"there is no {called} `{name}`", suggest(name, known, "`edgepress ls` shows what there is"))


def aimed(recipe: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Return the `--set` arguments that replace the targets of `recipe` with those of `--target`.

    A target is one of the recipe's, by its name in the recipe or by its own, or any other with a name or a path
    here. Raises: UserError.
    """
    written = yamlio.read(recipe).data
    own = written.get("targets", ["host"]) if isinstance(written, dict) else []
    own = [entry.get("use") if isinstance(entry, dict) else entry for entry in (own if isinstance(own, list) else ())]
    own = [entry for entry in own if isinstance(entry, str)]
    wanted = list(dict.fromkeys(_aim(name, recipe, own) for name in names))
    return () if not names or wanted == own else (f"targets={yamlio.inline(wanted)}",)


def _aim(name: str, recipe: Path, own: list[str]) -> str:
    """Return the entry of a recipe's `targets` for the target `name`."""
    from .copy import relative

    if name in own:
        return name
    for written in own:
        try:
            if target.load(target.find(written, recipe)).name == name:
                return written
        except UserError:
            continue  # reported when the recipe is checked
    try:
        file = find(name, "targets")
    except UserError:
        known = list(dict.fromkeys([*own, *files("targets")]))
        raise UserError(f"--target: there is no target `{name}`", suggest(name, known)) from None
    if wrong := foreign.missing(file, str(file), "a target's file, or a name of `edgepress ls targets`"):
        raise UserError(f"--target: {wrong[0]}", wrong[1])
    try:
        same = target.find(name, recipe).samefile(file)
    except (UserError, OSError):
        same = False
    return name if same else relative(file, recipe)


def listing(word: str = "") -> str:
    """Return all entries with `word` in their name or description, one line each. Raises: UserError when there is
    none."""
    shelves = {
        "recipes": {name: _first_sentence(path) for name, path in files("recipes").items()},
        "targets": {name: _about(path) for name, path in files("targets").items()},
        "stages": {use: (stage.__doc__ or "").partition("\n")[0] for use, stage in TABLE.items()},
        "data sets": {name: _data_set(name) for name in dataset.NAMES},
    }
    blocks = []
    kind = next((title for title in (*shelves, MODELS) if word.lower() in (title, title.removesuffix("s"))), None)
    for title, lines in shelves.items():
        if kind is not None and kind != title:
            continue
        sought = "" if kind else word.lower()
        matches = {n: line for n, line in lines.items() if sought in n.lower() or sought in line.lower()}
        if matches:
            width = max(map(len, matches))
            blocks.append([title, *(_cut(f"  {name:<{width}}  {line}") for name, line in matches.items())])
    sought = "" if kind else word.lower()
    if kind in (None, MODELS) and (models := sorted(name for name in names.zoo() if sought in name)):
        blocks.append([MODELS, *_models(models, sought)])
    if not blocks:
        known = [name for lines in shelves.values() for name in lines]
        help = suggest(word, [*known, *sorted(names.zoo())], LISTS)
        raise UserError(f"nothing here has `{word}` in its name", help)
    return "\n\n".join("\n".join(block) for block in blocks)


def _models(models: Sequence[str], word: str) -> list[str]:
    if len(models) <= MOST_MODELS:
        return [f"  timm/{name}" for name in models]
    having = f" with `{word}` in their name" if word else ""
    return [f"  {len(models):,} networks of timm{having}; a longer WORD, such as `resnet50d`, lists them"]


def comments(path: Path) -> list[str]:
    """Return the comment at the top of a file, without the lines for machines."""
    lines = []
    for line in foreign.head(path, _HEAD).decode("utf-8-sig", errors="replace").splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith(("# yaml-language-server:", "# copied from ")):
            lines.append(line.lstrip("# ").rstrip())
    return lines


def _first_sentence(path: Path) -> str:
    sentence, stop, _ = " ".join(comments(path)).partition(". ")
    return sentence + stop.rstrip()


def _about(path: Path) -> str:
    try:
        written = yamlio.read(path).data
    except UserError as error:
        return f"not readable: {error.problems[0].message}"
    return " ".join(str(written.get("about", "")).split()) if isinstance(written, dict) else ""


def _data_set(name: str) -> str:
    """Return the first line of its module, which is not imported: that would import numpy."""
    spec = importlib.util.find_spec(f"{dataset.__package__}.{name.replace('-', '_')}")
    assert spec is not None
    assert spec.origin is not None
    about = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    return about.partition("\n")[0].removeprefix(f"`{name}`: ")


def _cut(line: str) -> str:
    line = printable.word(line.rstrip())
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"
