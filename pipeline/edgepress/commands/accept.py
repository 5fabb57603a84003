"""Keep the files of the last run, for later runs to be compared with."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import UserError
from ..core.printable import say, word
from ..engine.last import last
from ..gate import baseline as accepted
from ..gate import judge


def accept(path: Path, *, runs: Path, folder: Path | None, force: bool) -> int:
    """Keep the files of the last run that targets judge, for later runs to be held against."""
    report, recipe, targets = last(path, runs)
    code = judge.exit_code(judge.judge(report, targets))
    if code and not force:
        raise UserError(
            f"the last run of `{recipe.name}` did not meet its budgets: exit {code}",
            f"`edgepress check {path}` shows them; --force accepts it nevertheless",
        )
    for file in accepted.accept(report, targets, folder or Path("accepted") / recipe.name):
        say(f"accepted {word(file)}")
    return 0
