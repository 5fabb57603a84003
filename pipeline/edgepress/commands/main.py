"""Define the commands: parse options, call one function, print."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import __version__
from ..benchmark.runtimes import RUNTIMES
from . import exit_codes

if TYPE_CHECKING:
    from ..config.target import Target

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


@click.group(epilog=exit_codes.EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgepress")
def cli() -> None:
    """Compress a model by a recipe and judge it against each target device's budgets."""


@cli.command()
@click.argument("recipe")
@SET
@TARGET
@LIMIT
@click.option(
    "--baseline", type=click.Path(path_type=Path), help="Folder of an accepted run to check for regressions against."
)
@ON_UNDECIDED
@FORMAT
@CACHE
@RUNS
def run(recipe: str, changes: tuple[str, ...], aims: tuple[str, ...], **options: Any) -> int:
    """Build the models of RECIPE, then evaluate and judge them.

    RECIPE is a file or a name that `edgepress ls recipes` lists. Cached stages are reused. The lock file is written
    beside the recipe; with --set or --target, or for a recipe of the installed package, into the folder of the run.
    """
    from ..engine.run import run as run_recipe
    from .catalog import aimed

    path = _recipe(recipe)
    return run_recipe(path, changes=(*changes, *aimed(path, aims)), **options)


@cli.command()
@click.argument("recipes", nargs=-1, required=True)
@SET
@LIMIT
@click.option(
    "--routes",
    metavar="A,B,…",
    help="Routes of a single recipe: plain, longer, soup, distill, both, teacher, fuse.  [default: all except longer "
    "and soup]",
)
@click.option(
    "--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Number of repetitions with other seeds."
)
@click.option(
    "--price",
    type=click.FloatRange(min=0),
    help="Price of one core-hour; adds the cost per million inferences.",
)
@click.option(
    "--target",
    metavar="NAME",
    help="Target whose budgets must be met.  [default: the recipes' first target that needs no attached device]",
)
@click.option("--json", is_flag=True, help="Print the results as JSON instead of text.")
@CACHE
@RUNS
def compare(recipes: tuple[str, ...], changes: tuple[str, ...], **options: Any) -> int:
    """Compare distillation and fusion routes, or recipes.

    With one recipe: train its student and teachers by several routes (distil, fuse, both, neither) and recommend one.
    The teachers and the fusion are the stages before its first `distill.*` stage. Stages after the distillation, such
    as pruning, are skipped in every route; the output lists them. Every route is then exported and quantized alike.

    With several recipes of one task: run each as it is written and recommend one, by its last float and int8 files.

    The target's runtime decides whether ONNX or TFLite files are compared.
    """
    from .compare.study import compare as compare_recipes

    return compare_recipes([_recipe(recipe) for recipe in recipes], changes=changes, **options)


@cli.command()
@click.argument("recipe")
@TARGET
@ON_UNDECIDED
@FORMAT
@RUNS
def check(recipe: str, aims: tuple[str, ...], **options: Any) -> int:
    """Judge the last run of RECIPE again, without measuring.

    Budgets are read anew from the recipe and its targets; the measurements are those of the last run.
    """
    from ..engine.run import check as check_report
    from .catalog import aimed

    path = _recipe(recipe)
    return check_report(path, changes=aimed(path, aims), **options)


@cli.command()
@click.argument("model")
@click.option("--target", metavar="NAME", help="Target whose file is profiled, for a recipe.  [default: its first]")
@RUNS
def why(model: str, target: str | None, runs: Path) -> int:
    """Profile MODEL by layer, and advise what to change first.

    MODEL is an .onnx or .tflite file, or a recipe that was run. The time and the bytes of each layer and operator are
    listed; for a recipe also the change by each stage and the margin of each budget.
    """
    if Path(model).suffix in (".onnx", ".tflite"):
        from .why.explain import explain
        from .why.layers import layers

        click.echo(explain(Path(model), layers(Path(model))), nl=False)
        return 0
    from .why.command import why as of_recipe

    click.echo(of_recipe(_recipe(model), runs=runs, target=target), nl=False)
    return 0


@cli.command()
@click.argument("recipe")
@click.option("--folder", type=click.Path(path_type=Path), help="Folder to write.  [default: accepted/NAME]")
@click.option("--force", is_flag=True, help="Accept a run that did not meet its budgets.")
@RUNS
def accept(recipe: str, **options: Any) -> int:
    """Keep the last run of RECIPE as the baseline of later runs.

    `edgepress run RECIPE --baseline FOLDER` then checks later models for regressions against it.
    """
    from .accept import accept as accept_run

    return accept_run(_recipe(recipe), **options)


@cli.command()
@click.argument("model", type=click.Path(path_type=Path), required=False)
@click.option("--against", type=click.Path(path_type=Path), help="Model file to compare the latency of MODEL with.")
@click.option("--tolerance", default="5%", show_default=True, help="Slowdown against that file that MODEL may have.")
@click.option(
    "--runtime",
    type=click.Choice(list(RUNTIMES)),
    help="Runtime to measure with.  [default: by file type]",
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads of the runtime.  [default: 1, or the target's]")
@click.option(
    "--on",
    metavar="TARGET",
    help="Device to measure on: a target, or ssh://[USER@]HOST[:PORT].  [default: this machine]",
)
@click.option("--trace", type=click.Path(path_type=Path), help="File to write the raw times to.")
@click.option("--replay", type=click.Path(path_type=Path), help="Trace to judge again, instead of measuring.")
@ON_UNDECIDED
def bench(model: Path | None, replay: Path | None, trace: Path | None, on_undecided: str, **options: Any) -> int:
    """Measure the latency of a model file, or of two in pairs.

    With --against, the two files are timed in interleaved pairs, in fresh processes, until a confidence interval of
    their ratio decides.
    """
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
@click.option(
    "--on", metavar="REACH", help="Address of the device: ssh://[USER@]HOST[:PORT].  [default: the target's `reach`]"
)
@click.option(
    "--install-emulator",
    is_flag=True,
    help="Download the emulator for targets with `emulate:`, from Debian and PyPI.",
)
def doctor(target: str | None, on: str | None, install_emulator: bool) -> int:
    """Check what measuring needs, here or on a target's device.

    Every missing package, program or setting is listed with its fix.
    """
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
@click.option(
    "--on", metavar="REACH", help="Address of the device: ssh://[USER@]HOST[:PORT].  [default: the target's `reach`]"
)
@click.option("--output", type=click.Path(path_type=Path), help="Target file to write.  [default: the target's own]")
def calibrate(target: str, on: str | None, output: Path | None) -> int:
    """Measure published networks on a target's device.

    Their latencies are written into the target file as `references`. From these, other machines estimate the latency
    of a model on this device. A target of the installed package is written to targets/ in the current folder.

    This calibrates latency estimates. The int8 ranges of a model are calibrated by its `quantize.*` stage.
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
    """Load a target; `on` replaces its `reach`."""
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
    """List the stages that `run` would run, and those cached."""
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
    """Check recipe and target files without running anything."""
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
@click.option("--days", type=click.FloatRange(min=0), default=30.0, show_default=True, help="Age to delete from.")
def gc(cache: Path, days: float) -> int:
    """Delete cached results that were not used for some days.

    Left-over files of killed runs are deleted too.
    """
    from ..core.units import show_bytes
    from ..engine.cache import Cache

    count, freed = Cache(cache).collect(days)
    click.echo(f"deleted {count} result{'' if count == 1 else 's'}, {show_bytes(freed)}")
    return 0


@cli.command()
@click.argument("word", default="")
def ls(word: str) -> int:
    """List recipes, targets, stages, data sets and networks.

    WORD selects the entries with it in their name or description; `edgepress ls stages` lists one kind.
    """
    from .catalog import listing

    click.echo(listing(word))
    return 0


@cli.command()
@click.argument("name")
@SET
@click.option("--all", "every", is_flag=True, help="Include the options of a recipe that are at their defaults.")
def show(name: str, changes: tuple[str, ...], every: bool) -> int:
    """Show the options of a recipe, a stage or a target.

    Each option is printed with its value, its origin (recipe, target, --set or default) and its meaning. Of a recipe,
    the options that it sets are shown.
    """
    from .show import show as text_about

    click.echo(text_about(name, changes, every=every))
    return 0


@cli.command()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def cp(name: str, file: Path, force: bool) -> int:
    """Copy the recipe or target NAME to FILE, to edit it.

    The first lines of FILE record its source, for `edgepress diff FILE`.
    """
    from .copy import copy

    click.echo(f"copied {copy(name, file, force=force)} to {file}")
    return 0


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--against", metavar="NAME", help="Recipe or target to compare with, instead of the source of FILE.")
def diff(file: Path, against: str | None) -> int:
    """Show the changes in FILE since it was copied.

    FILE is compared with its source as it is installed now.
    """
    from .copy import diff as difference

    click.echo(difference(file, against) or "no change")
    return 0


@cli.command()
@click.argument("name", required=False)
@click.option("--data", help="Data set, as for `task.data` in a recipe; paths are relative to --folder.")
@click.option("--target", metavar="NAME", help="Target device: a name of `edgepress ls targets`, or a file.")
@click.option("--latency", help="Latency budget of one inference on it, such as '20 ms'.")
@click.option("--size", help="Size budget of the model file, such as '2 MB'.")
@click.option("--recipe", metavar="NAME", help="Recipe to start from.")
@click.option(
    "--install",
    metavar="URL",
    help="Pinned source from which the CI job installs edgepress: git+https://HOST/OWNER/REPOSITORY@TAG.  [default: "
    "none; the job fails and names the line to edit]",
)
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Folder to write to.")
def new(folder: Path, recipe: str | None, **wishes: str | None) -> int:
    """Write a recipe NAME, its target file and a CI job.

    At a terminal, missing options are prompted for.
    """
    from .new import Wishes, completed
    from .new import new as write

    written = write(Wishes(**completed(wishes, _ask), recipe=recipe), folder)
    for path in written:
        click.echo(f"wrote {path}")
    click.echo(f"next: edgepress run {shlex.quote(str(written[0]))}")
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


def _recipe(name: str) -> Path:
    from .catalog import find

    return find(name, "recipes")


def main() -> None:
    """Run the command line, then exit with its code."""
    sys.exit(exit_codes.run(cli))
