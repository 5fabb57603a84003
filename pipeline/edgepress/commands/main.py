"""The commands: parse, call one function, print. How they end stands in `ending`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import __version__
from . import exit_codes

if TYPE_CHECKING:
    from ..config.target import Target

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
    help="Use only so many examples of each split, or all where there are fewer: a smoke run.",
)
SET = click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="PATH=VALUE",
    help="Set an option of the recipe, such as stages.small.ratio=40%; stages by name or number from 0. Repeatable.",
)
TARGET = click.option(
    "--target",
    "aims",
    multiple=True,
    metavar="NAME",
    help="Judge by this target alone, one of the recipe's or another; for this time, as `--set targets=[NAME]`. "
    "Repeatable.",
)
ON_UNDECIDED = click.option(
    "--on-undecided",
    type=click.Choice(["fail", "warn"]),
    default="fail",
    show_default=True,
    help="`warn`: exit 0 where a measurement leaves a budget open; a missing number still ends with 4.",
)

FORMAT = click.option(
    "--format",
    "formats",
    multiple=True,
    metavar="FORMAT[=FILE]",
    help="text, json, markdown, github or junit, to standard output or a FILE.  [default: text]  Repeatable.",
)


@click.group(epilog=exit_codes.EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgepress")
def cli() -> None:
    """Compress a model for a device as a recipe says, and judge it by the device's budgets."""


@cli.command()
@click.argument("recipe")
@SET
@TARGET
@LIMIT
@click.option("--baseline", type=click.Path(path_type=Path), help="Folder of an accepted model to hold it against.")
@ON_UNDECIDED
@FORMAT
@CACHE
@RUNS
def run(recipe: str, changes: tuple[str, ...], **options: Any) -> int:
    """Make every model of RECIPE (a file, or the name of one), measure them, and judge.

    The lock file is written beside the recipe; with --set or --target, or for a recipe inside the installed package,
    into the run's own folder.
    """
    from ..engine.run import run as run_recipe

    return run_recipe(_recipe(recipe), changes=changes, **options)


@cli.command()
@click.argument("recipes", nargs=-1, required=True)
@SET
@LIMIT
@click.option(
    "--routes",
    metavar="A,B,…",
    help="Of one recipe: plain, longer, soup, distill, both, teacher, fuse.  [default: all but longer, soup]",
)
@click.option(
    "--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Repetitions, each with seeds of its own."
)
@click.option(
    "--price", type=click.FloatRange(min=0), help="What an hour of one core costs, to tell what a million answers do."
)
@click.option(
    "--target", metavar="NAME", help="Whose budgets are to be met.  [default: the recipes' first that needs no device]"
)
@click.option("--json", is_flag=True, help="Print the facts as JSON in the place of the text.")
@CACHE
@RUNS
def compare(recipes: tuple[str, ...], changes: tuple[str, ...], **options: Any) -> int:
    """Distil, fuse, or both? Make the student and teachers of one recipe by several routes, and say which to take;
    or make several recipes of the same task, each as it is, and say which is best.

    Of one recipe, the teachers and the fusion are those before its first `distill.*` stage; what follows it is left
    out, and every route is exported and quantized as it is. Of several, the last float and int8 files count. They are
    ONNX or TFLite files, as the target's runtime has it.
    """
    from .compare.study import compare as compare_recipes

    return compare_recipes([_recipe(recipe) for recipe in recipes], changes=changes, **options)


@cli.command()
@click.argument("recipe")
@TARGET
@ON_UNDECIDED
@FORMAT
@RUNS
def check(recipe: str, **options: Any) -> int:
    """Judge the last run of RECIPE again, by the budgets as they stand now, without measuring."""
    from ..engine.run import check as check_report

    return check_report(_recipe(recipe), **options)


@cli.command()
@click.argument("model")
@click.option("--target", metavar="NAME", help="Of a recipe: whose file to look at.  [default: its first]")
@RUNS
def why(model: str, target: str | None, runs: Path) -> int:
    """Say where the time and bytes of MODEL go, a file or a recipe that was run, and what to change first."""
    if Path(model).suffix in (".onnx", ".tflite"):
        from .why.explain import explain
        from .why.layers import layers

        click.echo(explain(Path(model), layers(Path(model))), nl=False)
        return 0
    from ..engine.run import why as of_recipe

    click.echo(of_recipe(_recipe(model), runs=runs, target=target), nl=False)
    return 0


@cli.command()
@click.argument("recipe")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to keep it.  [default: accepted/NAME]")
@click.option("--force", is_flag=True, help="Also when the run did not meet its budgets.")
@RUNS
def accept(recipe: str, **options: Any) -> int:
    """Keep the models of the last run of RECIPE, for `run --baseline` to hold later ones against."""
    from ..engine.run import accept as accept_run

    return accept_run(_recipe(recipe), **options)


@cli.command()
@click.argument("model", type=click.Path(path_type=Path), required=False)
@click.option("--against", type=click.Path(path_type=Path), help="Judge MODEL by the time that this file takes.")
@click.option("--tolerance", default="5%", show_default=True, help="How much slower MODEL may be.")
@click.option(
    "--runtime", type=click.Choice(["onnxruntime", "litert", "tflite-runtime"]), help="By default of the file."
)
@click.option("--threads", type=click.IntRange(min=1), help="Of the runtime.  [default: 1, or the target's]")
@click.option("--on", metavar="TARGET", help="Measure there: a target, or ssh://[USER@]HOST[:PORT].  [default: here]")
@click.option("--trace", type=click.Path(path_type=Path), help="Write the raw times here.")
@click.option("--replay", type=click.Path(path_type=Path), help="Judge the times of this trace again instead.")
@ON_UNDECIDED
def bench(model: Path | None, replay: Path | None, trace: Path | None, on_undecided: str, **options: Any) -> int:
    """Time the file MODEL, or judge it against another, in interleaved pairs in fresh processes."""
    from ..core import ownership
    from . import bench as against

    if trace:
        ownership.record(trace, ownership.TRACE, "choose another name for the trace")
    if model and not replay:
        found = against.measured(model, **options)
    elif replay and not model:
        found = against.read(replay)
    else:
        raise click.UsageError("give either a MODEL, or --replay with a trace")
    if trace:
        against.write(found, trace)
    words, status = against.render(found)
    code = {"ok": 0, "FAIL": 1, "undecided": 0 if on_undecided == "warn" else 4}[status]
    click.echo(f"{words}exit {code}")
    return code


@cli.command()
@click.argument("target", required=False)
@click.option("--on", metavar="REACH", help="Where its device is: ssh://[USER@]HOST[:PORT].  [default: as it says]")
@click.option("--install-emulator", is_flag=True, help="Fetch what `emulate:` in a target needs, from Debian and PyPI.")
def doctor(target: str | None, on: str | None, install_emulator: bool) -> int:
    """Say what is missing to measure, here or on the device of TARGET, and how to mend it."""
    from .doctor import here, of

    if install_emulator:
        from ..benchmark.emulator.install import install

        click.echo(f"installed {install(lambda words: click.echo(words, err=True))}")
    checks = of(_reached(target, on)) if target else here()
    for check in checks:
        click.echo(str(check))
    return 4 if any(check.missing for check in checks) else 0


@cli.command()
@click.argument("target")
@click.option("--on", metavar="REACH", help="Where its device is: ssh://[USER@]HOST[:PORT].  [default: as it says]")
@click.option("--output", type=click.Path(path_type=Path), help="Write here.  [default: the target's file]")
def calibrate(target: str, on: str | None, output: Path | None) -> int:
    """Measure published networks on the device of TARGET, and write them into it for estimates to rest on.

    A target of the installed package is written to targets/ here.
    """
    from ..core.paths import folder_of
    from ..core.progress import progress
    from .calibrate import calibrate as measure
    from .calibrate import free
    from .catalog import find

    file = find(target, "targets")
    shipped = file.resolve().is_relative_to(folder_of("targets").resolve())
    path = output or (Path("targets", file.name) if shipped else file)
    profile = _reached(target, on)
    if path != file:
        free(path, profile)
    shown = progress()
    shown.begin("calibrating", "calibrating", -1, 0)
    try:
        device = measure(profile, file.read_text(encoding="utf-8"), path, say=shown.advance)
    finally:
        shown.close()
    click.echo(f"wrote {path}: measured on {device}")
    return 0


def _reached(name: str, on: str | None) -> Target:
    """A target, at `on` if that is given."""
    from ..config.target import at, load
    from .catalog import find

    return at(load(find(name, "targets")), on)


@cli.command()
@click.argument("recipe")
@SET
@TARGET
@LIMIT
@CACHE
def plan(recipe: str, changes: tuple[str, ...], aims: tuple[str, ...], limit: int | None, cache: Path) -> int:
    """Say what `run` would make, and what it has already."""
    from ..config.recipe import load
    from ..engine.cache import Cache
    from ..engine.engine import Engine
    from .catalog import aimed

    path = _recipe(recipe)
    planned = Engine(load(path, (*changes, *aimed(path, aims))), Cache(cache), limit).plan()
    width = max(len(step.label) for step in planned)
    for step in planned:
        use = "" if step.use == step.label else f"  ({step.use})"
        click.echo(f"{step.action:<6}  {step.label:<{width}}  {step.because}{use}")
    return 0


@cli.command()
@click.argument("files", nargs=-1, required=True)
@SET
def validate(files: tuple[str, ...], changes: tuple[str, ...]) -> int:
    """Check recipes and targets, without running anything."""
    from ..config.recipe import validate as problems_of
    from .catalog import find

    problems = problems_of([find(name) for name in files], changes)
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
    from ..core.units import show_bytes
    from ..engine.cache import Cache

    count, freed = Cache(cache).collect(days)
    click.echo(f"deleted {count} result{'' if count == 1 else 's'}, {show_bytes(freed)}")
    return 0


@cli.command()
@click.argument("word", default="")
def ls(word: str) -> int:
    """List recipes, targets, stages, data sets and networks, or those that have WORD in them."""
    from .catalog import listing

    click.echo(listing(word))
    return 0


@cli.command()
@click.argument("name")
@SET
@click.option("--all", "every", is_flag=True, help="Of a recipe: its options at their defaults, too.")
def show(name: str, changes: tuple[str, ...], every: bool) -> int:
    """Show the options that a recipe sets, or every one of a stage or a target: its value, where that is from, and what
    it means."""
    from .show import show as text_about

    click.echo(text_about(name, changes, every=every))
    return 0


@cli.command()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def cp(name: str, file: Path, force: bool) -> int:
    """Copy the recipe or target NAME to FILE, to change it; FILE notes what it was copied from."""
    from .copy import copy

    click.echo(f"copied {copy(name, file, force=force)} to {file}")
    return 0


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--against", metavar="NAME", help="Compare with this recipe or target, whatever FILE notes.")
def diff(file: Path, against: str | None) -> int:
    """Show what was changed in FILE since it was copied, against its source as it is installed now."""
    from .copy import diff as difference

    click.echo(difference(file, against) or "no change")
    return 0


@cli.command()
@click.argument("name", required=False)
@click.option("--data", help="Data set, as a recipe says it; a path counts from --folder.")
@click.option("--target", metavar="NAME", help="Device: a target of `edgepress ls`, or a file.")
@click.option("--latency", help="Budget for one inference on it, such as '20 ms'.")
@click.option("--size", help="Budget for the model's file, such as '2 MB'.")
@click.option("--recipe", metavar="NAME", help="Recipe to start from.")
@click.option(
    "--install",
    metavar="URL",
    help="Where the CI job installs edgepress from, pinned: git+https://HOST/OWNER/REPOSITORY@TAG.  [default: the job "
    "fails, and says what to write]",
)
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Where to write.")
def new(folder: Path, recipe: str | None, **wishes: str | None) -> int:
    """Write a recipe NAME with its target and budgets, and a CI job; asks for what is not said, when at a terminal."""
    from .new import Wishes, completed
    from .new import new as write

    written = write(Wishes(**completed(wishes, _ask), recipe=recipe), folder)
    for path in written:
        click.echo(f"wrote {path}")
    click.echo(f"next: edgepress run {shlex.quote(str(written[0]))}")
    return 0


def _ask(question: str, default: str | None) -> str | None:
    """The answer of whoever sits at the terminal; None when nobody does."""
    if not sys.stdin.isatty():
        return None
    try:
        answer: str = click.prompt(question, default=default, show_default=bool(default))
    except click.Abort as error:
        if default == "" and isinstance(error.__context__, EOFError):  # no more answers, where none is needed
            return default
        raise
    return answer


def _recipe(name: str) -> Path:
    from .catalog import find

    return find(name, "recipes")


def main() -> None:
    """Run the command line, and exit."""
    sys.exit(exit_codes.run(cli))
