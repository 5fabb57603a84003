"""Write a report in the formats that people and CI read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...core import foreign, streams
from ...core.errors import UserError, suggest
from ...core.paths import Destination, replacing, require_writable
from ...core.results import Report
from ...core.system_errors import naming
from ..judge import Finding, OnUndecided
from . import as_json, github, junit, markdown, text
from .page import render as page

Render = Callable[[Report, Sequence[Finding], OnUndecided], str]
FORMATS: dict[str, Render] = {
    "text": text.render,
    "json": as_json.render,
    "markdown": markdown.render,
    "github": github.render,
    "junit": junit.render,
    "html": page.render,
}
ASCII = {"json": streams.as_ascii_json, "junit": streams.as_ascii_xml, "html": streams.as_ascii_xml}
"""Formats that programs read, and how each is written where standard output cannot hold all characters."""
NO_REPORT = (".yaml", ".yml", ".py", ".onnx", ".tflite", ".safetensors", ".pt", ".pth", ".csv", ".npz", ".npy")
"""What ends so is an input: a slip of the tongue would replace it by a report."""
_REPORTS = (
    re.compile(rb"\A<!doctype html>\n<!-- Written by `edgepress`"),
    re.compile(rb'\A\{\n "version": \d+,\n "recipe": .*\n "source": '),
    re.compile(rb'\A<\?xml [^\n]*\n<testsuites [^>]*>\s*<testsuite name="edgepress '),
    re.compile(rb"\.  exit \d$(\nNext: .*|\n  .*)*\n\Z", re.MULTILINE),  # text and workflow commands
)
"""How a page, or a report in JSON or JUnit, begins, and how the others end."""


@dataclass(frozen=True)
class Output:
    """A format, and the file that it goes to; None is standard output."""

    format: str
    file: Path | None = None


def parse(words: str, help: str = "") -> Output:
    """Parse `junit=report.xml` or `text`; `help` says how to name another file. Raises: UserError."""
    name, equals, file = words.partition("=")
    if name not in FORMATS:
        raise UserError(f"`{name}` is no format", suggest(name, FORMATS))
    if equals and not file:
        raise UserError(f"`{words}` names no file", f"`{name}=FILE`, or `{name}` for standard output")
    if equals and (wrong := foreign.refused(file, Path(file))):
        raise UserError(f"`--format {name}=…`: {wrong[0]}", wrong[1])
    if equals:
        _free(Path(file), help or f"name a file of its own, such as `--format {name}=report.txt`", name)
    else:
        streams.require_open(f"name a file: `--format {name}=FILE`")
    return Output(name, Path(file) if equals else None)


def _free(file: Path, help: str, format: str) -> None:
    """Check the place of a report. Raises: UserError for a file to keep, and where none can be written."""
    if file.is_dir():
        raise UserError(f"`{file}` is a folder, and a report is a file", help)
    if file.suffix.lower() in NO_REPORT:
        raise UserError(f"`{file}` is no name for a report: `{file.suffix}` is of recipes, models, code or data", help)
    if format != "markdown" and file.is_file() and not _is_report(file.read_bytes()):
        raise UserError(f"`{file}` is no report of edgepress, and is not overwritten", help)
    if file.is_file() or not file.exists():
        require_writable(Destination(file.parent, help, file))


def _is_report(content: bytes) -> bool:
    """Return whether a file is empty, or a report in one of the formats."""
    return not content or any(pattern.search(content) for pattern in _REPORTS)


def show(outputs: Sequence[Output], report: Report, findings: Sequence[Finding], on_undecided: OnUndecided) -> None:
    """Print or write the report in each format. A Markdown file is added to, as a job summary is; others are new."""
    for output in outputs or [Output("text")]:
        words = FORMATS[output.format](report, findings, on_undecided)
        write(output, words)


def write(output: Output, words: str) -> None:
    """Print a report, or write it into its file."""
    if output.file is None:
        # Printable already; workflow commands begin with what `say` escapes.
        print(ASCII.get(output.format, str)(words), end="")
        return
    with naming(output.file):
        _write(output.file, words.encode(), add=output.format == "markdown")


def _write(file: Path, content: bytes, *, add: bool) -> None:
    if file.exists() and not file.is_file():  # a device, such as /dev/null, or a pipe
        file.write_bytes(content)
        return
    if add and file.is_file():
        content = file.read_bytes() + content
    with replacing(file) as temporary:
        temporary.write_bytes(content)
