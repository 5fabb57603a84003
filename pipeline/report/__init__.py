"""A report and its findings in the formats that people and CI read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError, suggest
from ..facts import Report
from ..gate import Finding, OnUndecided
from ..paths import replacing
from . import github, junit, markdown, record, text

Render = Callable[[Report, Sequence[Finding], OnUndecided], str]
FORMATS: dict[str, Render] = {
    "text": text.render,
    "json": record.render,
    "markdown": markdown.render,
    "github": github.render,
    "junit": junit.render,
}


@dataclass(frozen=True)
class Output:
    """A format, and the file that it goes to; None is standard output."""

    format: str
    file: Path | None = None


def parse(words: str) -> Output:
    """`junit=report.xml` or `text`. Raises: UserError."""
    name, equals, file = words.partition("=")
    if name not in FORMATS:
        raise UserError(f"`{name}` is no format", suggest(name, FORMATS))
    if equals and not file:
        raise UserError(f"`{words}` names no file", f"`{name}=FILE`, or `{name}` for standard output")
    return Output(name, Path(file) if equals else None)


def show(outputs: Sequence[Output], report: Report, findings: Sequence[Finding], on_undecided: OnUndecided) -> None:
    """Print or write the report in each format. A Markdown file is added to, as a job summary is; others are new."""
    for output in outputs or [Output("text")]:
        words = FORMATS[output.format](report, findings, on_undecided)
        if output.file is None:
            print(words, end="")
            continue
        if output.format == "markdown" and output.file.is_file():
            words = output.file.read_text(encoding="utf-8") + words
        with replacing(output.file) as temporary:
            temporary.write_text(words, encoding="utf-8")
