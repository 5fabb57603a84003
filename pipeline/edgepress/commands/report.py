"""Write a run or a comparison as one HTML page."""

from __future__ import annotations

from pathlib import Path

from ..core import explained, foreign, ownership, stored
from ..core.errors import UserError
from ..core.explained import Explained
from ..core.printable import say, word
from ..core.results import Report
from ..engine.last import REPORT, judged, last, of_file, source
from ..gate.report import formats
from ..gate.report.page.render import render
from .catalog import find
from .compare.results import FILE as COMPARISON

PAGE = "report.html"


def report(name: str, *, runs: Path, out: Path | None, open_page: bool) -> int:
    """Write the page of a run or a comparison: a recipe, a folder of `runs`, or the JSON file itself."""
    file = _file(name, runs)
    if file is None:
        path = find(name, "recipes")
        results, recipe, targets = last(path, runs)
        file = runs / recipe.name / REPORT
    elif ownership.is_record(file, ownership.COMPARISON) and file.stat().st_size:
        from .compare import page

        _write(out or file.with_name("compare.html"), page.render(page.read(file)), open_page)
        return 0
    else:
        results, recipe, targets = of_file(file, source(file))
    words = render(results, judged(results, recipe, targets), why=explanation(file, results))
    _write(out or file.with_name(PAGE), words, open_page)
    return 0


def _file(name: str, runs: Path) -> Path | None:
    """Return the JSON file that `name` stands for; None for a recipe."""
    if wrong := foreign.refused(name, Path(name)):
        raise UserError(*wrong)
    if name.endswith(".json"):
        if not (file := Path(name)).is_file():
            raise UserError(
                f"there is no file `{name}`", "name a recipe, or a `report.json` or `compare.json` of `runs`"
            )
        return file
    folder = Path(name)
    if found := [folder / own for own in (REPORT, COMPARISON) if (folder / own).is_file()]:
        return found[0]
    if folder.is_dir() and len(folder.parts) > 1:
        raise UserError(f"`{name}` holds neither {REPORT} nor {COMPARISON}", "`edgepress run RECIPE` writes one")
    compared = runs / name / COMPARISON  # of several recipes, whose names it has, no single run
    return compared if compared.is_file() and not (runs / name / REPORT).is_file() else None


def explanation(file: Path, results: Report) -> Explained | None:
    """Return the layers that were compared for this run; None where there are none, or those of another file."""
    path = file.with_name(explained.FILE)
    if not path.is_file():
        return None
    help = f"delete it; `edgepress why {results.source} --sensitivity` writes it anew"
    found = stored.read(path, Explained, explained.problems, help)
    return found if any(found.sha256 == own.sha256 for stage in results.stages for own in stage.files) else None


def _write(file: Path, words: str, open_page: bool) -> None:
    output = formats.parse(f"html={file}", "name a file of its own: `--out report.html`")
    formats.write(output, words)
    say(f"wrote {word(file)}")
    if open_page:
        import webbrowser

        if not webbrowser.open(file.resolve().as_uri()):
            say("note: no browser was found to open it", error=True)
