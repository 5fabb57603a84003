"""Commands on recipes, targets and the cache; none of them runs a model."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from ..core import printable, temporary
from ..core.printable import say
from .completion import EITHER, TARGETS
from .options import CACHE, FILE, FOLDER, LIMIT, RECIPE, SET, TARGET, recipe_path


@click.command()
@RECIPE
@SET
@TARGET
@LIMIT
@CACHE
@click.option("--run-code", is_flag=True, help="Run the recipe's own code, where it makes the data.")
def plan(
    recipe: str, changes: tuple[str, ...], aims: tuple[str, ...], limit: int | None, cache: Path, run_code: bool
) -> int:
    """List the stages that `run` would run, and those cached.

    No code that the recipe names is run. Where such code makes the data, only --run-code can tell what is cached.
    """
    from ..config.recipe import load
    from ..engine.cache import Cache
    from ..engine.engine import Engine
    from .catalog import aimed

    path = recipe_path(recipe)
    engine = Engine(load(path, (*changes, *aimed(path, aims))), Cache(cache), limit)
    planned = engine.plan(run_code=run_code)
    width = max(len(step.label) for step in planned)
    actions = max(6, *(len(step.action) for step in planned))
    for step in planned:
        use = "" if step.use == step.label else f"  ({step.use})"
        say(f"{step.action:<{actions}}  {step.label:<{width}}  {step.because}{use}")
    if words := engine.demand([step.label for step in planned if step.action == "run"]):
        say(f"note: {words}", error=True)
    if any(step.action == "unknown" for step in planned):
        code = printable.word(str(engine.recipe.task.code_of_data))
        say(f"note: `plan` does not run `{code}`, which makes the data; `--run-code` does", error=True)
    return 0


@click.command()
@click.argument("files", nargs=-1, required=True, shell_complete=EITHER)
@SET
def validate(files: tuple[str, ...], changes: tuple[str, ...]) -> int:
    """Check recipe and target files without running anything."""
    from ..config.recipe import validate as problems_of
    from ..core.errors import shown
    from .catalog import find

    problems = problems_of([find(name) for name in files], changes)
    for problem in shown(problems):
        say(f"{problem}\n", error=True)
    if problems:
        say(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}", error=True)
        return 2
    say(f"{len(files)} file{'s' if len(files) > 1 else ''} valid")
    return 0


@click.command()
@CACHE
@click.option("--days", type=click.FloatRange(min=0), default=30.0, show_default=True, help="Age to delete from.")
def gc(cache: Path, days: float) -> int:
    """Delete cached results that were not used for some days.

    Left-over files of killed runs are deleted too.
    """
    from ..core.units import show_bytes
    from ..engine.cache import Cache

    for folder in (Path(), *Path("runs").glob("*"), *Path("runs").glob("*/models")):
        temporary.sweep(folder)
    count, freed = Cache(cache).collect(days)
    say(f"deleted {count} result{'' if count == 1 else 's'}, {show_bytes(freed)}")
    return 0


@click.command()
@click.argument("word", default="")
def ls(word: str) -> int:
    """List recipes, targets, stages, data sets and networks.

    WORD selects the entries with it in their name or description; `edgepress ls stages` lists one kind.
    """
    from .catalog import listing

    say(listing(word))
    return 0


@click.command()
@click.argument("name", shell_complete=EITHER)
@SET
@click.option("--all", "every", is_flag=True, help="Include the options of a recipe that are at their defaults.")
def show(name: str, changes: tuple[str, ...], every: bool) -> int:
    """Show the options of a recipe, a stage or a target.

    Each option is printed with its value, its origin (recipe, target, --set or default) and its meaning. Of a recipe,
    the options that it sets are shown.
    """
    from .show import show as text_about

    say(text_about(name, changes, every=every))
    return 0


@click.command()
@click.argument("name", shell_complete=EITHER)
@click.argument("file", type=FILE)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def cp(name: str, file: Path, force: bool) -> int:
    """Copy the recipe or target NAME to FILE, to edit it.

    The first lines of FILE record its source, for `edgepress diff FILE`.
    """
    from .copy import copy

    say(f"copied {printable.word(copy(name, file, force=force))} to {printable.word(file)}")
    return 0


@click.command()
@click.argument("file", type=FILE)
@click.option("--against", metavar="NAME", help="Recipe or target to compare with, instead of the source of FILE.")
def diff(file: Path, against: str | None) -> int:
    """Show the changes in FILE since it was copied.

    FILE is compared with its source as it is installed now.
    """
    from .copy import diff as difference

    say(difference(file, against) or "no change")
    return 0


@click.command()
@click.argument("name", required=False)
@click.option("--data", help="Data set, as for `task.data` in a recipe; paths are relative to --folder.")
@click.option(
    "--target",
    metavar="NAME",
    shell_complete=TARGETS,
    help="Target device: a name of `edgepress ls targets`, or a file.",
)
@click.option("--latency", help="Latency budget of one inference on it, such as '20 ms'.")
@click.option("--size", help="Size budget of the model file, such as '2 MB'.")
@click.option("--recipe", metavar="NAME", help="Recipe to start from.")
@click.option(
    "--install",
    metavar="URL",
    help="Pinned source from which the CI job installs edgepress: git+https://HOST/OWNER/REPOSITORY@TAG.  [default: "
    "none; the job fails and names the line to edit]",
)
@click.option("--folder", type=FOLDER, default=Path(), help="Folder to write to.")
def new(folder: Path, recipe: str | None, **wishes: str | None) -> int:
    """Write a recipe NAME with the budgets of its target, and a CI job.

    At a terminal, missing options are prompted for.
    """
    from .new import Wishes, completed
    from .new import new as write

    written = write(Wishes(**completed(wishes, _ask), recipe=recipe), folder)
    for path in written:
        say(f"wrote {printable.word(path)}")
    say(f"next: edgepress run {printable.word(shlex.quote(str(written[0])))}")
    return 0


def _ask(question: str, default: str | None) -> str | None:
    """Prompt at the terminal; None when standard input is no terminal."""
    if not sys.stdin.isatty():
        return None
    try:
        answer: str = click.prompt(question, default=default, show_default=bool(default))
    except click.Abort as error:
        if default == "" and isinstance(error.__context__, EOFError):  # no more answers, where none is needed
            return default
        raise
    return answer
