"""The commands: parse, call one function, print. Exit codes stand in `EXIT_CODES`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import click

from . import __version__

EXIT_CODES = """\b
Exit codes:
  0  every required budget is met
  1  a required budget is exceeded (outranks 4)
  2  the recipe, a target, a file or the command line is wrong
  3  a crash; a log is named
  4  not decided: a number is missing or too uncertain
  130  interrupted"""

CACHE = click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".edgepress"),
    envvar="EDGEPRESS_CACHE",
    show_default=True,
    help="Folder of finished results.",
)
RUNS = click.option(
    "--runs",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder for reports and models.",
)
LIMIT = click.option(
    "--limit",
    type=click.IntRange(min=2),
    help="Use only so many examples of each split: a smoke run.",
)


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgepress")
def cli() -> None:
    """Compress a model for a device as a recipe says, and judge it by the device's budgets."""


@cli.command()
@click.argument("recipe")
@LIMIT
@CACHE
@RUNS
def run(recipe: str, limit: int | None, cache: Path, runs: Path) -> int:
    """Make every model of RECIPE (a file, or the name of one in recipes/), measure them, and judge."""
    from .run import run as run_recipe

    return run_recipe(_recipe(recipe), cache=cache, runs=runs, limit=limit)


@cli.command()
@click.argument("recipe")
@RUNS
def check(recipe: str, runs: Path) -> int:
    """Judge the last run of RECIPE again, by the budgets as they stand now, without measuring."""
    from .run import check as check_report

    return check_report(_recipe(recipe), runs=runs)


@cli.command()
@click.argument("recipe")
@LIMIT
@CACHE
def plan(recipe: str, limit: int | None, cache: Path) -> int:
    """Say what `run` would make, and what it has already."""
    from .cache import Cache
    from .engine import Engine
    from .recipe import load

    planned = Engine(load(_recipe(recipe)), Cache(cache), limit).plan()
    width = max(len(step.label) for step in planned)
    for step in planned:
        use = "" if step.use == step.label else f"  ({step.use})"
        click.echo(f"{step.action:<6}  {step.label:<{width}}  {step.because}{use}")
    return 0


@cli.command()
@click.argument("files", nargs=-1, required=True)
def validate(files: tuple[str, ...]) -> int:
    """Check recipes and targets, without running anything."""
    from .recipe import validate as problems_of

    problems = problems_of(_recipe(name) for name in files)
    for problem in problems:
        click.echo(f"{problem}\n", err=True)
    if problems:
        click.echo(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}", err=True)
        return 2
    click.echo(f"{len(files)} file{'s' if len(files) > 1 else ''} valid")
    return 0


@cli.command()
@CACHE
@click.option("--days", type=click.FloatRange(min=0), default=30.0, show_default=True, help="Keep what was used since.")
def gc(cache: Path, days: float) -> int:
    """Delete results that were not used for some time, and what killed runs left behind."""
    from .cache import Cache
    from .units import show_bytes

    count, freed = Cache(cache).collect(days)
    click.echo(f"deleted {count} result{'' if count == 1 else 's'}, {show_bytes(freed)}")
    return 0


def _recipe(name: str) -> Path:
    """A path as it is; a bare name is that of a recipe in `recipes/`, here or shipped."""
    from .paths import folder_of

    path = Path(name)
    if path.exists() or path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        return path
    for folder in (Path("recipes"), folder_of("recipes")):
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    return Path("recipes") / f"{name}.yaml"


def main() -> None:
    """Run the command line, and turn every way to end into its exit code."""
    from .errors import UserError

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = 2
    except UserError as error:
        click.echo(str(error), err=True)
        code = 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; the same command goes on where this one stopped", err=True)
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 3
    except Exception as error:
        click.echo(_crash(error), err=True)
        code = 3
    sys.exit(code)


def _crash(error: Exception) -> str:
    """Write the traceback to a log and say where it is."""
    import platform
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="edgepress-", suffix=".log", delete=False, encoding="utf-8") as log:
        log.write(f"edgepress {__version__}, Python {platform.python_version()}, {platform.platform()}\n")
        log.write(f"{' '.join(sys.argv)}\n\n")
        log.writelines(traceback.format_exception(error))
    first = (str(error).splitlines() or [""])[0]
    return (
        f"edgepress crashed: {type(error).__name__}: {first}\n"
        f"  = help: this is a defect; please report it with {log.name}"
    )
