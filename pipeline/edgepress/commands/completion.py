"""Complete the names of recipes and targets in a shell; click completes commands, options and files."""

from __future__ import annotations

from collections.abc import Callable

import click
from click.shell_completion import CompletionItem

VARIABLE = "_EDGEPRESS_COMPLETE"
"""The environment variable by which a shell asks click for completions."""

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def named(*kinds: str) -> Completer:
    """Return the function that completes names of `recipes` or `targets`, or files."""

    def complete(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
        from .catalog import files

        names = dict.fromkeys(name for kind in kinds for name in files(kind))
        # bash forgets what stands before a file
        file = CompletionItem(begun, type="file")
        return [file, *(CompletionItem(name) for name in names if name.startswith(begun) and name.isprintable())]

    return complete


RECIPES, TARGETS, EITHER = named("recipes"), named("targets"), named("recipes", "targets")
