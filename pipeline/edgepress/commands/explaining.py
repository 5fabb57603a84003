"""Define the commands that explain what was made: `why` and `report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..core.printable import say
from .completion import RECIPES, TARGETS
from .options import CACHE, FILE, RUNS, recipe_path


@click.command()
@click.argument("run", metavar="RUN|COMPARE", shell_complete=RECIPES)
@click.option("--out", type=FILE, help="HTML file to write.  [default: report.html beside the results]")
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
@RUNS
def report(run: str, **options: Any) -> int:
    """Write a run or a comparison as one HTML page.

    RUN is a recipe that was run, the folder of a run, or its `report.json`; COMPARE is the folder of a comparison, or
    its `compare.json`. The page needs no network and no script. Nothing is run or measured; budgets are read anew, and
    the exit code is 0 whatever the verdict: `edgepress check` is the gate.
    """
    from .report import report as write

    return write(run, **options)


@click.command()
@click.argument("model", shell_complete=RECIPES)
@click.option(
    "--target",
    metavar="NAME",
    shell_complete=TARGETS,
    help="Target whose file is profiled, for a recipe.  [default: its first]",
)
@click.option("--coverage", is_flag=True, help="List which operators of an .onnx file convert to TFLite, and why not.")
@click.option(
    "--sensitivity",
    is_flag=True,
    help="Compare each operator of an int8 ONNX file with its float form, by itself and in the whole file; the worst "
    "first.",
)
@click.option(
    "--ranges",
    is_flag=True,
    help="List the ranges of the float file's activations, outliers, and what int8 holds of them; the farthest first.",
)
@click.option("--float", "floats", type=FILE, help="Float ONNX file to compare with.  [default: that of the run]")
@click.option("--json", "as_json", is_flag=True, help="Print what `--sensitivity` or `--ranges` finds as JSON.")
@CACHE
@RUNS
def why(
    model: str,
    target: str | None,
    coverage: bool,
    sensitivity: bool,
    ranges: bool,
    floats: Path | None,
    as_json: bool,
    cache: Path,
    runs: Path,
) -> int:
    """Profile MODEL by layer, and advise what to change first.

    MODEL is an .onnx or .tflite file, or a recipe that was run. The time and the bytes of each layer and operator are
    listed; for a recipe also the change by each stage and the margin of each budget. With --sensitivity, the operators
    whose return to float wins most are named, by themselves and per millisecond, and the next `edgepress report` shows
    them; the validation examples of the recipe are loaded for it, and for --ranges.
    """
    if (floats or as_json) and not (sensitivity or ranges):
        raise click.UsageError("`--float` and `--json` go with `--sensitivity` or `--ranges`")
    if as_json and sensitivity and ranges:
        raise click.UsageError("`--json` prints one: leave out `--sensitivity` or `--ranges`")
    if coverage:
        from .why.coverage import coverage as table

        say(table(Path(model)), end="")
        return 0
    from .why.layers import layers

    if Path(model).suffix in (".onnx", ".tflite"):
        from .why.explain import explain

        path, found = Path(model), layers(Path(model))
        words = explain(path, found)
    else:
        from .why.command import why as of_recipe

        path, found, words = of_recipe(recipe_path(model), runs=runs, target=target)
    from .why.origin import onnx_of

    file = onnx_of(path) if sensitivity or ranges else path
    if sensitivity:
        from .why import compared

        explained = compared.explained(file, found if file == path else layers(file), floats, cache)
        words = compared.json(explained) if as_json else words + compared.text(explained)
    if ranges:
        from .why import ranges as activations
        from .why import ranges_text

        spans = activations.explained(file, floats, cache)
        words = ranges_text.json(spans) if as_json else words + ranges_text.text(spans)
    say(words, end="")
    return 0
