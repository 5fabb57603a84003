"""Define `edgepress bundle`: parse options, call one function, print."""

from __future__ import annotations

from pathlib import Path

import click

from ...core.printable import say, word
from ..options import CACHE, FILE, RUNS, recipe_path


@click.command()
@click.argument("recipe")
@click.option("--target", required=True, metavar="NAME", help="Target of the run whose file goes into the archive.")
@click.option("--out", type=FILE, help="Archive to write.  [default: RECIPE-TARGET.zip in the folder of the run]")
@click.option(
    "--examples/--no-examples",
    default=True,
    show_default=True,
    help="Put five inputs of the test split into the archive, for its self-test; leave out private data.",
)
@CACHE
@RUNS
def bundle(recipe: str, target: str, out: Path | None, examples: bool, cache: Path, runs: Path) -> int:
    """Pack the file of a target for the engineer who puts it on the device.

    The archive holds the model, its labels, preprocessing and decoding in numpy, runners in Python and C, a self-test,
    a model card with the measurements of the last run of RECIPE, digests, licences and an SBOM. The same run gives the
    same bytes.
    """
    from .command import bundle as pack

    written = pack(recipe_path(recipe), target=target, out=out, examples=examples, cache=cache, runs=runs)
    say(f"wrote {word(written)}")
    return 0
