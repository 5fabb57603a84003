"""The figures of the first page, each from the result file of the command beside it."""

from __future__ import annotations

from tests.bench import results
from tests.pages.coverage import equal_integers


def only_here() -> str:
    """Five lines: the claim, its figure, and the table that it is from."""
    lines = [
        (_gate(), "how-often-the-gate-is-wrong"),
        (_unlabelled(), "distillation-and-fusion"),
        (_int8(), "int8-beside-other-quantizers"),
        (_integers(), "which-networks-convert"),
        (_emulated(), "a-boards-arithmetic-without-the-board"),
    ]
    page = "docs/benchmarks.md"
    return "".join(f"- {words} [`{command}`]({page}#{anchor})\n" for (words, command), anchor in lines)


def _gate() -> tuple[str, str]:
    found = results.read("gate")
    case = next(each for each in found["cases"] if each["busy"] and each["candidate"] == "unchanged")
    plain = case["others"]["mean + 5%"]["stored_reference"]
    red = round(case["red"] * case["gates"])
    words = f"**A gate without false alarms:** {red} in {case['gates']} on busy cores; "
    words += f"`mean + 5%` against a stored reference has {plain:.0%}."
    return words, found["command"]


def _unlabelled() -> tuple[str, str]:
    from tests.bench.distill import gain

    found = results.read("distill")
    more = gain(found["rows"]["unlabelled"], "kd_unlabelled", "ce")
    low, high = more["low"], more["high"]
    words = "**Labels are optional:** 300 labels and unlabelled images, distilled from a teacher of 55,000:"
    gained = f"{more['mean']:+.1f} points [{low:.1f}, {high:.1f}]"
    return f"{words} {gained} over the labels alone.", found["command"]


def _int8() -> tuple[str, str]:
    found = results.read("quant")
    rows = {row["method"]: row for row in found["models"]["efficientnet"]["rows"]}
    onnx, tflite = rows["edgepress x86"], rows["edgepress tflite"]
    words = (
        f"**int8 that pays:** EfficientNet-Lite0 at {onnx['bytes'] / onnx['bytes_of_float']:.2f} of the size takes "
        f"{onnx['ratio']:.2f} of the time as ONNX, {tflite['ratio']:.2f} as TFLite."
    )
    return words, found["command"]


def _integers() -> tuple[str, str]:
    found = results.read("coverage")
    words = (
        f"**The same integers in ONNX and TFLite:** {equal_integers(found['modules']):.4%} of the outputs of the int8 "
        f"operators of {len(found['modules'])} networks are equal."
    )
    return words, found["command"]


def _emulated() -> tuple[str, str]:
    found = results.read("emulate")
    here, there = found["x86_only"]["without"]["value"], found["x86_only"]["with"]["value"]
    words = (
        f"**A board's arithmetic without the board:** a file with {here:.1%} accuracy on x86 has {there:.1%} in a "
        "Cortex-A72's instructions, and fails before anybody ships it."
    )
    return words, found["command"]
