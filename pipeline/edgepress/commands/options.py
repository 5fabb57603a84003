"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..core import foreign
from .completion import RECIPES, TARGETS


class _Path(click.Path):
    """A path that a file can have: neither empty nor too long, of Unicode text."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if wrong := foreign.unusable(str(value)):
            shown = str(value) if len(str(value)) < 80 else f"{str(value)[:79]}…"
            self.fail(f"{shown!a} cannot be a path: {wrong}", param, ctx)
        return super().convert(value, param, ctx)


FILE = _Path(path_type=Path)
FOLDER = _Path(file_okay=False, path_type=Path)
CACHE = click.option(
    "--cache",
    type=FOLDER,
    default=Path(".edgepress"),
    envvar="EDGEPRESS_CACHE",
    show_default=True,
    help="Cache of stage results.",
)

RUNS = click.option(
    "--runs",
    type=FOLDER,
    default=Path("runs"),
    show_default=True,
    help="Folder of reports and models.",
)

LIMIT = click.option(
    "--limit",
    type=click.IntRange(min=2),
    help="Use at most this many examples of each split, for a quick smoke run.",
)

RECIPE = click.argument("recipe", shell_complete=RECIPES)

SET = click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="PATH=VALUE",
    help="Override an option of the recipe, such as stages.small.ratio=40%; stages by name or by number from 0. "
    "Repeatable.",
)

TARGET = click.option(
    "--target",
    "aims",
    multiple=True,
    metavar="NAME",
    shell_complete=TARGETS,
    help="Judge only by this target, also by one that the recipe does not list; the same as `--set targets=[NAME]`. "
    "Repeatable.",
)

ON_UNDECIDED = click.option(
    "--on-undecided",
    type=click.Choice(["fail", "warn"]),
    default="fail",
    show_default=True,
    help="`warn` exits with 0 when a confidence interval spans a budget; a missing measurement still exits with 4.",
)

FORMAT = click.option(
    "--format",
    "formats",
    multiple=True,
    metavar="FORMAT[=FILE]",
    help="Report as text, json, markdown, github, junit or html, to standard output or to FILE. Repeatable.  "
    "[default: text]",
)


def recipe_path(name: str) -> Path:
    from .catalog import find

    return find(name, "recipes")
