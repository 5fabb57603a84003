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
    "--no-examples",
    is_flag=True,
    help="Leave the self-test out, whose five inputs are of the test split: they may be private.",
)
@CACHE
@RUNS
def bundle(recipe: str, target: str, out: Path | None, no_examples: bool, cache: Path, runs: Path) -> int:
    """Pack the file of a target for the engineer who puts it on the device.

    The archive holds the model, its labels, preprocessing and decoding in numpy, runners in Python and C, a self-test,
    a model card with the measurements of the last run of RECIPE, digests, licences and an SBOM. The same run gives the
    same bytes.
    """
    from .command import bundle as pack

    written = pack(recipe_path(recipe), target=target, out=out, examples=not no_examples, cache=cache, runs=runs)
    say(f"wrote {word(written)}")
    return 0
