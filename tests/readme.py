"""The generated parts of README.md, from the committed result files. `make readme` puts them in."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from pipeline import gate, target
from pipeline.facts import Report
from pipeline.recipe import load, validate
from pipeline.report import text
from tests.bench import results

README = Path(__file__).parents[1] / "README.md"
MISTAKES = ("temperature: 2", "temprature: 2"), ("ratio: 30%", "ratio: 30")


def run() -> str:
    """The text of the committed run of `mobilenet`, judged by the targets as they are now."""
    report = Report.model_validate_json((results.FOLDER / "run.json").read_text(encoding="utf-8"))
    recipe = load(Path(report.source))
    targets = [target.load(file) for file in recipe.target_files()]
    findings = gate.judge(report, targets, recipe.document.place(("keep", "accuracy_drop")))
    return _code(text.render(report, findings))


def mistake() -> str:
    """What `validate` says of the `mobilenet` recipe with two typical mistakes in it."""
    written = Path("recipes/mobilenet.yaml").read_text(encoding="utf-8")
    for right, wrong in MISTAKES:
        assert right in written
        written = written.replace(right, wrong)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mine.yaml")
        path.write_text(written, encoding="utf-8")
        said = "\n\n".join(str(problem) for problem in validate([path]))
        return _code(said.replace(str(path), "recipes/mine.yaml") + "\n")


BLOCKS = {"run": run, "mistake": mistake}


def rendered(readme: str) -> str:
    """`readme` with every generated block made anew."""
    for name, make in BLOCKS.items():
        pattern = rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)"
        readme, count = re.subn(pattern, lambda found, make=make: found[1] + make() + found[2], readme, flags=re.DOTALL)
        assert count == 1, name
    return readme


def _code(words: str) -> str:
    return f"```text\n{words}```\n"


if __name__ == "__main__":
    README.write_text(rendered(README.read_text(encoding="utf-8")), encoding="utf-8")
