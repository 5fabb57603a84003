"""Write the model card of an archive: what the file is, how it runs, what was measured, and what is not known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ...core.printable import lines, word
from ...core.runtimes import RUNTIMES
from ...gate import judge
from ...gate.report.cells import cells, level
from ...gate.report.markdown_text import block, code, escaped
from .numbers import NO_NUMBER, numbers

if TYPE_CHECKING:
    from .command import Chosen

UNKNOWN = "unknown: the recipe does not state it"
MOST_LABELS = 20
LONGEST = 2000
"""Characters of a statement."""
UNDESCRIBED = "the outputs by name as they are: what they mean, the recipe does not state"
DECODED = {
    "single-label": "labels and scores, the best first",
    "multi-label": "labels and scores, the best first",
    "regression": "the value of each label, in the unit of the training data",
    "segmentation": "a map of class numbers, the places in labels.txt from 0",
    "keypoints": "the place of each label as shares of the picture's width and height",
    "embedding": "a vector of length 1; the product of two is their cosine",
    "image": "a picture (channels, height, width): shares of 255 where the targets were pixels, else in their unit",
}
"""What `decode` returns, by task."""
_COMPILED = {
    "onnx": ("onnxruntime.c", "-lonnxruntime", "onnxruntime"),
    "tflite": ("litert.c", "-lLiteRt", "LiteRT 2.1 or newer"),
}
"""The source beside main.c, the library, and which releases have it."""


def text(chosen: Chosen, contract: dict[str, Any], tolerance: float, names: Sequence[str]) -> str:
    """Return README.md of an archive with files `names`."""
    blocks = [
        [f"# {escaped(word(chosen.name))}", "", block(_about(chosen, contract))],
        ["## Run", "", *_run(chosen, names)],
        ["## Inputs and outputs", "", *_tensors(contract)],
        ["## Measured", "", *_measured(chosen)],
        ["## Budgets", "", *_budgets(chosen)],
        ["## Intended use", "", block(word(chosen.recipe.card.intended_use or UNKNOWN, LONGEST))],
        ["## Licences", "", *_licences(chosen)],
        ["## Origin", "", *_origin(chosen)],
    ]
    if "selftest.py" in names:
        blocks.insert(2, ["## Self-test", "", *_selftest(chosen, tolerance)])
    return lines("\n\n".join("\n".join(block) for block in blocks) + "\n")


def _about(chosen: Chosen, contract: dict[str, Any]) -> str:
    file, target = chosen.file, chosen.target
    kind = {"onnx": "ONNX", "tflite": "TFLite"}[file.kind]
    device = f": {target.about}" if target.about else ""
    labels = f", {len(contract['labels'])} labels" if contract["labels"] else ""
    return word(
        f"`model.{file.kind}`: {kind}, {file.precision}, {contract['task']}{labels}; of the recipe "
        f"`{chosen.recipe.name}` for {target.name}{device}. "
        f"Runtime: {target.runtime}, {target.threads} thread{'s' * (target.threads > 1)}.",
        LONGEST,
    )


def _run(chosen: Chosen, names: Sequence[str]) -> list[str]:
    kind, row = chosen.file.kind, RUNTIMES[chosen.target.runtime]
    source, library, release = _COMPILED[kind]
    example = "selftest/0/raw_*.npy" if "selftest.py" in names else "RAW.npy"
    text = ['python run.py "a text of some words"'] if "tokens.py" in names else []
    return [
        f"In Python with `numpy` and `{row.package}`; photos are read with `pillow`:",
        "",
        "```sh",
        f"pip install numpy {row.package}",
        f"python run.py {example}",
        *text,
        "```",
        "",
        f"In C, with the library of {release}; `-DTHREADS=N` sets its threads where it takes any:",
        "",
        "```sh",
        f"cc -O2 c/main.c c/{source} -o run {library} -lm",
        f"./run model.{kind} INPUT… OUTPUT…",
        "```",
        "",
        "`preprocess.py` makes inputs of raw values and decodes outputs; `model.json` describes both.",
    ]


def _selftest(chosen: Chosen, tolerance: float) -> list[str]:
    machine = escaped(word(chosen.report.machine.cpu))
    return [
        f"`selftest/` has inputs of the test split and the outputs for them on {machine}. "
        f"On another processor they may differ by {tolerance:.1%} of the largest number, by rounding.",
        "",
        "```sh",
        "python selftest.py",
        "for example in selftest/*/; do",
        f"  ./run --check {tolerance} model.{chosen.file.kind} $example/input_*.bin $example/output_*.bin",
        "done",
        "```",
    ]


def _tensors(contract: dict[str, Any]) -> Iterator[str]:
    yield from ("| tensor | type | shape | meaning |", "|---|---|---|---|")
    for side in ("inputs", "outputs"):
        for entry in contract[side]:
            shape = " × ".join(map(str, entry.get("shape", ()))) + f" {entry.get('layout', '')}".rstrip()
            meaning = _prepared(entry) if side == "inputs" else entry["meaning"]
            cells = (escaped(word(words)) for words in (entry["dtype"], shape, meaning))
            yield f"| {side[:-1]} {code(word(entry['name']))} | {' | '.join(cells)} |"
    yield from ("", f"`decode` of preprocess.py returns {_decoded(contract)}.")
    if labels := contract["labels"]:
        some = ", ".join(word(label) for label in labels[:MOST_LABELS])
        more = f" and {len(labels) - MOST_LABELS} more" if len(labels) > MOST_LABELS else ""
        yield ""
        yield block(f"Labels, in the order of labels.txt: {some}{more}.")


def _decoded(contract: dict[str, Any]) -> str:
    """Return what `decode` makes of the outputs; of those that nobody has described, it says so."""
    if "decode" in contract:
        return "labels, scores and boxes in pixels of the input, the best first; boxes.py suppresses overlapping ones"
    named = contract["labels"] or contract["task"] in ("embedding", "image")
    if len(contract["outputs"]) > 1 or contract["outputs"][0]["meaning"] == "raw" or not named:
        return UNDESCRIBED
    return DECODED[contract["task"]]


def _prepared(entry: dict[str, Any]) -> str:
    if entry["kind"] == "tokens":
        return f"token ids below {entry['vocabulary']}"
    color = f"{entry['color']}, " if entry.get("color") else ""
    resize = f"{entry['resize'] or 'crop'} to the size, " if entry["kind"] == "image" else ""
    if not entry.get("mean"):
        return f"{entry['kind']}: {color}{resize}raw values; the file normalizes them"
    scale = "/ 255" if entry["scale"] == 1 / 255 else f"· {entry['scale']:g}"
    mean, std = (sorted(set(entry[name])) for name in ("mean", "std"))
    numbers = "by mean and std of model.json" if len(mean) + len(std) > 2 else f"− {mean[0]:g}) / {std[0]:g}"
    formula = f"x {scale}, then normalized {numbers}" if len(mean) + len(std) > 2 else f"(x {scale} {numbers}"
    return f"{entry['kind']}: {color}{resize}{formula}"


def _measured(chosen: Chosen) -> Iterator[str]:
    report = chosen.report
    yield from ("| | | | how |", "|---|---|---|---|")
    for row in numbers(report, chosen.target, chosen.file):
        yield f"| {' | '.join(escaped(word(cell or '', LONGEST)) for cell in row)} |"
    if report.limited is not None:
        yield from ("", f"A smoke run, limited to {report.limited} examples: these numbers are no evidence.")


def _budgets(chosen: Chosen) -> Iterator[str]:
    findings = judge.judge(chosen.report, [chosen.target])
    if not findings:
        yield "No budgets are set."
        return
    yield from ("| budget | value | limit | interval | status |", "|---|---|---|---|---|")
    for finding in findings:
        check, value, limit, _, rest = cells(finding)
        row = check, value or NO_NUMBER, limit, rest, finding.status + level(finding)
        yield f"| {' | '.join(escaped(word(cell)) for cell in row)} |"


def _licences(chosen: Chosen) -> Iterator[str]:
    stated = chosen.recipe.card
    for what in ("weights", "data", "code"):
        yield f"- {what}: {escaped(word(getattr(stated, what) or UNKNOWN, LONGEST))}"
    yield "- runners, `*.py` and `c/`: Apache-2.0, of edgepress (`LICENSES/Apache-2.0.txt`)"
    if chosen.file.kind == "onnx":
        yield "- `c/onnxruntime_api.h` describes an interface of onnxruntime, MIT (`LICENSES/MIT.txt`)"
    else:
        yield "- `c/litert_api.h` describes an interface of LiteRT, Apache-2.0"


def _origin(chosen: Chosen) -> list[str]:
    report = chosen.report
    machine = report.machine
    return [
        f"- recipe {code(word(report.recipe))}, SHA-256 `{report.data['recipe_sha256']}`",
        *([f"- set: {escaped(word('  '.join(changes), LONGEST))}"] if (changes := report.data.get("set")) else []),
        f"- data {code(word(report.data.get('name', '')))}, digest `{report.data['sha256']}`",
        f"- model, SHA-256 `{chosen.file.sha256}`",
        f"- run of {word(report.date)} on {escaped(word(machine.cpu))}, {escaped(word(machine.system))}",
        "- `bom.cdx.json` lists the software that made it (CycloneDX); `sha256sum -c SHA256SUMS` checks every file",
    ]
