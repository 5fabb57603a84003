"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

CACHE = click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".edgepress"),
    envvar="EDGEPRESS_CACHE",
    show_default=True,
    help="Cache of stage results.",
)

RUNS = click.option(
    "--runs",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder of reports and models.",
)

LIMIT = click.option(
    "--limit",
    type=click.IntRange(min=2),
    help="Use at most this many examples of each split, for a quick smoke run.",
)

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
    help="Report as text, json, markdown, github or junit, to standard output or to FILE. Repeatable.  [default: text]",
)


def recipe_path(name: str) -> Path:
    from .catalog import find

    return find(name, "recipes")
