"""Define `edgepress bundle`: parse options, call one function, print."""

from __future__ import annotations

from typing import Any

import click

from ...core.printable import say, word
from ..completion import RECIPES, TARGETS
from ..options import CACHE, FILE, RUNS


@click.command()
@click.argument("run", metavar="RUN", shell_complete=RECIPES)
@click.option(
    "--target",
    required=True,
    metavar="NAME",
    shell_complete=TARGETS,
    help="Target of the run whose file goes into the archive.",
)
@click.option("--out", type=FILE, help="Archive to write.  [default: RECIPE-TARGET.zip in the folder of the run]")
@click.option("--force", is_flag=True, help="Pack a file that does not meet the budgets of the target, too.")
@click.option(
    "--no-examples",
    is_flag=True,
    help="Leave the self-test out, whose five inputs are of the test split: they may be private.",
)
@CACHE
@RUNS
def bundle(run: str, no_examples: bool, **options: Any) -> int:
    """Pack the file of a target for the engineer who puts it on the device.

    RUN is a recipe that was run, or the folder of a run. The archive holds the model, its labels, preprocessing and
    decoding in numpy, runners in Python and C, a self-test, a model card with the measurements of the run, digests,
    licences and an SBOM. The same run gives the same bytes.
    """
    from .command import bundle as pack

    written = pack(run, examples=not no_examples, **options)
    say(f"wrote {word(written)}")
    return 0
