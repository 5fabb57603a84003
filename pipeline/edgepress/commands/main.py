"""Define the commands: parse options, call one function, print."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import __version__
from ..core import linear_algebra, streams
from ..core.printable import say, word
from ..core.runtimes import RUNTIMES
from . import exit_codes, supervise
from .authoring import cp, diff, gc, ls, new, plan, show, validate
from .bundle.cli import bundle
from .completion import RECIPES, TARGETS
from .explaining import report, why
from .options import CACHE, FILE, FORMAT, LIMIT, ON_UNDECIDED, RECIPE, RUNS, SET, TARGET, recipe_path

if TYPE_CHECKING:
    from ..config.target import Target


PRINTED = ("diff", "doctor", "ls", "plan", "show", "why")
"""Commands whose result is what they print; that of the others is a file or an exit code."""
WITHOUT_ARRAYS = ("cp", "diff", "doctor", "gc", "ls", "new", "show")
"""Commands that compute nothing; the others need the libraries of linear algebra."""


@click.group(epilog=exit_codes.EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgepress")
@click.pass_context
def cli(context: click.Context) -> None:
    """Compress a model by a recipe and judge it against each target device's budgets."""
    if context.invoked_subcommand not in PRINTED:
        streams.silence_closed()
    if context.invoked_subcommand not in WITHOUT_ARRAYS:
        linear_algebra.take_memory()


@cli.command()
@RECIPE
@SET
@TARGET
@LIMIT
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Make at most this many stages that do not depend on each other side by side, each in a process with the "
    "threads that it has without; results are the same.",
)
@click.option("--baseline", type=FILE, help="Folder of an accepted run to check for regressions against.")
@click.option(
    "--pictures/--no-pictures",
    "with_pictures",
    default=True,
    help="Keep a few small pictures of test examples that the result gets wrong, for `edgepress report`; none of "
    "private data.  [default: pictures]",
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

    path = recipe_path(recipe)
    return run_recipe(path, changes=(*changes, *aimed(path, aims)), **options)


@cli.command()
@click.argument("recipes", nargs=-1, required=True, shell_complete=RECIPES)
@SET
@LIMIT
@click.option(
    "--routes",
    metavar="A,B,…",
    help="Routes of a single recipe: plain, half, longer, soup, distill, both, teacher, fuse.  [default: all except "
    "soup, and half and longer only where examples lack labels]",
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
    shell_complete=TARGETS,
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

    if options["json"]:
        streams.require_open("leave out `--json`: the results are also written into the folder of `--runs`")
    return compare_recipes([recipe_path(recipe) for recipe in recipes], changes=changes, **options)


@cli.command()
@RECIPE
@TARGET
@ON_UNDECIDED
@FORMAT
@RUNS
def check(recipe: str, aims: tuple[str, ...], **options: Any) -> int:
    """Judge the last run of RECIPE again, without measuring.

    Budgets are read anew from the recipe and its targets; the measurements are those of the last run.
    """
    from ..engine.last import check as check_report
    from .catalog import aimed

    path = recipe_path(recipe)
    return check_report(path, changes=aimed(path, aims), **options)


@cli.command()
@RECIPE
@click.option("--folder", type=FILE, help="Folder to write.  [default: accepted/NAME]")
@click.option("--force", is_flag=True, help="Accept a run that did not meet its budgets.")
@RUNS
def accept(recipe: str, **options: Any) -> int:
    """Keep the last run of RECIPE as the baseline of later runs.

    `edgepress run RECIPE --baseline FOLDER` then checks later models for regressions against it.
    """
    from .accept import accept as accept_run

    return accept_run(recipe_path(recipe), **options)


@cli.command()
@click.argument("model", type=FILE, required=False)
@click.option("--against", type=FILE, help="Model file to compare the latency of MODEL with.")
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
@click.option("--trace", type=FILE, help="File to write the raw times to.")
@click.option("--replay", type=FILE, help="Trace to judge again, instead of measuring.")
@ON_UNDECIDED
def bench(model: Path | None, replay: Path | None, trace: Path | None, on_undecided: str, **options: Any) -> int:
    """Measure the latency of a model file, or of two in pairs.

    With --against, the two files are timed in interleaved pairs, in fresh processes, until a confidence interval of
    their ratio decides.
    """
    from ..core import ownership, paths
    from . import bench as against

    if trace:
        ownership.record(trace, ownership.TRACE, "choose another name for the trace")
        paths.require_writable(paths.Destination(trace.parent, "name another file for the trace", trace))
    if model and not replay:
        trace_ = against.measured(model, **options)
    elif replay and not model:
        _only_measuring("--replay", options)
        trace_ = against.read(replay)
    else:
        raise click.UsageError("give either a MODEL, or --replay with a trace")
    if trace:
        against.write(trace_, trace)
    words, status = against.render(trace_)
    code = {"ok": 0, "FAIL": 1, "undecided": 0 if on_undecided == "warn" else 4}[status]
    say(f"{words}exit {code}")
    return code


def _only_measuring(instead: str, options: Iterable[str]) -> None:
    """Raise UsageError for an option that is of measuring, and was written."""
    context = click.get_current_context()
    for name in options:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"`--{name}` is of measuring, and `{instead}` judges times as they were taken")


@cli.command()
@click.argument("target", required=False, shell_complete=TARGETS)
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

        say(f"installed {install(lambda words: say(words, error=True))}")
    checks = of(_reached(target, on)) if target else here()
    for check in checks:
        say(str(check))
    return 4 if any(check.missing for check in checks) else 0


@cli.command()
@click.argument("target", shell_complete=TARGETS)
@click.option(
    "--on", metavar="REACH", help="Address of the device: ssh://[USER@]HOST[:PORT].  [default: the target's `reach`]"
)
@click.option("--output", type=FILE, help="Target file to write.  [default: the target's own]")
def calibrate(target: str, on: str | None, output: Path | None) -> int:
    """Measure published networks on a target's device.

    Their latencies are written into the target file as `references`. From these, other machines estimate the latency
    of a model on this device. A target of the installed package is written to targets/ in the current folder.

    This calibrates latency estimates. The int8 ranges of a model are calibrated by its `quantize.*` stage.
    """
    from ..core.paths import Destination, folder_of, require_writable
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
    require_writable(Destination(path.parent, "`--output` names another file", path))
    shown = progress()
    shown.begin("calibrating", "calibrating", -1, 0)
    try:
        device = measure(profile, file.read_text(encoding="utf-8"), path, say=shown.advance)
    finally:
        shown.close()
    say(f"wrote {word(path)}: measured on {word(device)}")
    return 0


def _reached(name: str, on: str | None) -> Target:
    """Load a target; `on` replaces its `reach`."""
    from ..config.target import at, load
    from .catalog import find

    return at(load(find(name, "targets")), on)


for _command in (bundle, plan, validate, gc, ls, show, cp, diff, new, why, report):
    cli.add_command(_command)


def main() -> None:
    """Run the command line, then exit with its code: the entry point of scripts that older versions installed."""
    supervise.main()
