"""Implement `new`: write a recipe with budgets and a CI job from shipped ones.

They are validated before they are written.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import __version__
from ..config import target
from ..config.recipe import checked
from ..core import names, paths, yamlio
from ..core.document import Document, Loc
from ..core.errors import Mistake, Place, UserError
from ..core.yamledit import edited
from ..data.dataset import NAMES
from . import catalog, copy, templates

WORKFLOW = """\
# Written by `edgepress new`: the job fails when {name} no longer fits its target.
# Data and models that the recipe names have to be in the repository, or be fetched by a step of their own.
name: edgepress {name}
on: [pull_request]
jobs:
  compress:
    runs-on: ubuntu-latest
    timeout-minutes: 60
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {{python-version: "3.11"}}
      - uses: actions/cache@v4
        with: {{path: .edgepress, key: "edgepress-{name}-${{{{ github.sha }}}}", restore-keys: "edgepress-{name}-"}}
      - run: {install}
      - run: {run}
"""
PINNED = re.compile(
    r"(?:edgepress(?:\[[\w,-]+\])? ?@ ?)?"
    r"(?:git\+(?:https://|ssh://(?:[\w-]+@)?)[\w.-]+(?::\d+)?/[\w./~+-]+@(?P<ref>\w[\w./+-]*)(?:#[\w=&./-]+)?"
    r"|https://[\w.-]+(?::\d+)?/[\w./~+%-]+\.(?:whl|tar\.gz)#sha256=[0-9a-f]{64})"
)
"""What CI may install: a tag or commit of a repository, or an archive with its digest; nothing that a shell reads, and
no password, which the file would show."""
COMMENT = re.compile(r"(?<=[\]\}:\w])[ \t]+#.*")
MOVING = ("HEAD", "main", "master", "trunk", "develop", "dev", "latest")
PLACE = f"git+https://HOST/OWNER/edgepress@v{__version__}"

QUESTIONS = {
    "name": "Name of the recipe",
    "data": "Data set",
    "target": "Target ({targets}, or a file)",
    "latency": "Latency at most",
    "size": "Size at most",
    "install": f"Where CI installs edgepress from, such as {PLACE} (empty: to be written later)",
}
OPTIONAL = ("install",)


@dataclass(frozen=True)
class Wishes:
    """Options of the command line; the values are YAML, as in a recipe."""

    name: str
    data: str
    target: str
    latency: str
    size: str
    recipe: str | None = None
    install: str = ""


def completed(options: Mapping[str, str | None], ask: Callable[[str, str | None], str | None]) -> dict[str, str]:
    """Return all wishes; `ask(question, default)` prompts for missing ones, and may return None.

    Raises: UserError that names what is still missing.
    """
    wishes = dict(options)
    for name, question in QUESTIONS.items():
        if wishes[name] is None:
            known = ", ".join(catalog.files("targets"))
            wishes[name] = ask(question.format(targets=known), _default(name, wishes["target"]))
    missing = [name for name in QUESTIONS if wishes[name] is None and name not in OPTIONAL]
    if missing:
        flags = ", ".join("a NAME" if name == "name" else f"`--{name}`" for name in missing)
        raise UserError(f"missing: {flags}", "at a terminal `edgepress new` prompts for them")
    return {name: wish for name, wish in wishes.items() if wish is not None}


def _default(name: str, profile: str | None) -> str | None:
    """Return the budget of the chosen target."""
    if name in OPTIONAL:
        return ""
    if profile is None or name not in ("latency", "size"):
        return None
    budgets = yamlio.read(catalog.find(profile, "targets")).data.get("budgets", {})
    limit = budgets.get(name)
    return str(limit["limit"] if isinstance(limit, dict) else limit) if limit else None


def new(wishes: Wishes, folder: Path) -> list[Path]:
    """Write a recipe and a CI job into `folder`, both or none; their paths in that order.

    Raises: UserError with every problem of the wishes, or when a file is there already.
    """
    try:
        names.valid(wishes.name)
    except Mistake as mistake:
        raise UserError(f"`{wishes.name}`: {mistake}", mistake.help) from None
    install = installing(wishes.install)
    profile = catalog.find(wishes.target, "targets")
    recipe = folder / f"{wishes.name}.yaml"
    try:
        texts = {recipe: _recipe(wishes, recipe, profile)}
    except UserError as error:
        # A place in a file that is not written yet would only confuse.
        raise UserError(
            [replace(problem, place=_elsewhere(problem.place, recipe)) for problem in error.problems]
        ) from None
    root = _repository(folder)
    words = shlex.quote(copy.relative(recipe, root / "any").removeprefix("./"))
    run = f"edgepress run {words} --format text --format github --format markdown=$GITHUB_STEP_SUMMARY"
    workflow = root / ".github/workflows" / f"edgepress-{wishes.name}.yml"
    texts[workflow] = WORKFLOW.format(name=wishes.name, install=yamlio.inline(install), run=yamlio.inline(run))
    copy.write(texts)
    return list(texts)


def installing(place: str) -> str:
    """Return the command by which CI installs edgepress from `place`.

    Without one, it is a command that fails in words: the public index may have a stranger's package of that name.
    Raises: UserError for a place that is not pinned.
    """
    if not place:
        message = f"write here where edgepress is installed from, pinned, such as: pip install '{PLACE}'"
        return f"echo {shlex.quote(f'::error::{message}')} && exit 1"
    pinned = PINNED.fullmatch(place)
    if pinned is None:
        help = (
            f"a tag or a commit of its repository, `{PLACE}`, or an archive with its digest, `https://….whl#sha256=…`"
        )
        raise UserError(f"--install: `{place}` does not name a repository and its version", help)
    if pinned["ref"] in MOVING:
        raise UserError(f"--install: `{pinned['ref']}` is another version every day", f"a tag or a commit: `{PLACE}`")
    return f"pip install {shlex.quote(place)}"


def _elsewhere(place: Place | None, path: Path) -> Place | None:
    return None if place and place.path == path else place


def _repository(folder: Path) -> Path:
    """Return the top of the git repository around `folder`, where CI looks for its jobs, or `folder` itself."""
    above = [folder.resolve(), *folder.resolve().parents]
    return Path(os.path.relpath(next((parent for parent in above if (parent / ".git").exists()), folder)))


def _data(data: Any, written: Any, base: Path) -> Any:
    """Return the user's data; a plain folder of photos takes the template's options of photos, at a size that fits."""
    if not isinstance(data, str) or data in NAMES or not isinstance(written, dict) or not (base / data).is_dir():
        return data
    from ..data.folder import side

    return written | {"from": data, "size": side(base / data, most=written["size"])}


def _recipe(wishes: Wishes, path: Path, profile: Path) -> str:
    data = _argument("--data", wishes.data)
    fresh = _template(wishes, data, path)
    data = _argument("--data", yamlio.inline(_data(data.data, fresh.data["task"]["data"], path.parent)))
    limits = {"latency": _argument("--latency", wishes.latency), "size": _argument("--size", wishes.size)}
    budgets = _budgets(profile, {name: limit.data for name, limit in limits.items()})
    entry = {"use": _called(wishes.target, profile, path), "budgets": budgets}
    # A comment behind the targets is about the shipped ones.
    fresh = yamlio.parse(Document(path, _without_comment(fresh, ("targets",))))
    document = yamlio.parse(Document(path, edited(fresh, {("task", "data"): data.data, ("targets",): [entry]})))
    text = document.text
    # A problem of a wish has the place of its option.
    document.put(("task", "data"), data, [document.place(("task",), key=True), data.place(())])
    for name, limit in limits.items():
        loc: Loc = ("targets", 0, "budgets", name, *(["limit"] if isinstance(budgets[name], dict) else []))
        document.put(loc, limit, [limit.place(())] * len(loc))
    checked(document)
    return text


def _template(wishes: Wishes, data: Document, path: Path) -> Document:
    """Return the recipe to start from: the one that is wished for, or one that fits the data. Raises: UserError."""
    if wishes.recipe:
        return yamlio.parse(Document(path, copy.copied(catalog.find(wishes.recipe, "recipes"), path)))
    try:
        facts = templates.facts(data.data, path.parent)
    except UserError as error:
        raise error.at(data.place(())) from error
    shipped = templates.shipped(data.data, facts)
    if shipped:
        return yamlio.parse(Document(path, copy.copied(shipped, path)))
    return yamlio.parse(Document(path, templates.plain(wishes.name, yamlio.inline(data.data), facts)))


def _without_comment(document: Document, loc: Loc) -> str:
    """Return the text without the comments on the lines of a value."""
    start, end = document.spans.get(loc, (0, 0))
    text = document.text
    above = text.rfind("\n", 0, start) + 1
    below = len(text) if (at := text.find("\n", end)) < 0 else at
    lines = [COMMENT.sub("", line) for line in text[above:below].split("\n")]
    return text[:above] + "\n".join(lines) + text[below:]


def _budgets(profile: Path, limits: Mapping[str, Any]) -> dict[str, Any]:
    """Return the limits as budgets; the level and the percentile of the profile's own stay."""
    own = target.load(profile).written
    return {
        name: {**own[name], "limit": limit} if isinstance(own.get(name), dict) else limit
        for name, limit in limits.items()
    }


def _called(name: str, profile: Path, recipe: Path) -> str:
    """Return the recipe's entry for the profile: its name where that leads to it, or its path."""
    try:
        same = target.find(name, recipe).samefile(profile)
    except (UserError, OSError):
        same = False
    return name if same and not name.endswith(paths.YAML) else copy.relative(profile, recipe)


def _argument(option: str, text: str) -> Document:
    """Parse an argument of the command line, with the option as its place."""
    return yamlio.parse(Document(Path(option), text))
