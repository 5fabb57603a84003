"""What int8 and the other precisions cost and save, beside other quantizers."""

from __future__ import annotations

import re
from statistics import fmean
from typing import Any

from edgepress.core.units import show_bytes

from tests.bench import results
from tests.pages import stamp


def efficientnet() -> str:
    """Top-1 agreement of the exported EfficientNet-Lite0 with its package, and of int8 with the export."""
    found = results.read("efficientnet")
    head = f"EfficientNet-Lite0, {found['images']} JPEGs of {found['photographs']} photographs: agreement, not accuracy"
    lines = [f"| {head} | same top-1 class | 95% interval |", "|---|---|---|"]
    int8 = found["int8"]
    sure = "agreement_where_one_class_leads_by_0.1"
    wrongly = "agreement_of_the_package_fed_by_imagenets_moments"
    for name, share in (
        ("the exported file, against its package's network fed (x − 127) / 128", found["agreement"]),
        ("that network with inputs normalized by ImageNet's mean and standard deviation instead", found[wrongly]),
        (f"int8, against that file, calibrated on {int8['calibrated_on']} other JPEGs", int8["agreement"]),
        ("the same, images whose first class leads by 0.1 or more", int8[sure]),
    ):
        low, high = share["wilson_95"]
        lines.append(f"| {name} | {share['same']} of {share['of']} | {low:.1%}–{high:.1%} |")
    return "\n".join([*lines, "", stamp(found)]) + "\n"


def calibration() -> str:
    """Memory and time of calibration, beside onnxruntime's calibrators."""
    found = results.read("calibration")
    lines = [
        "| calibration of EfficientNet-Lite0 | examples | peak memory | time per example |",
        "|---|---|---|---|",
    ]
    for row in found["rows"]:
        cells = [
            row["setting"],
            f"{row['samples']:,}",
            show_bytes(row["peak"]),
            f"{row['seconds_a_sample'] * 1e3:.0f} ms",
        ]
        if not row["setting"].startswith("onnxruntime"):
            cells[0] = f"**{cells[0]}**"
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", stamp(found)]) + "\n"


def foreign() -> str:
    """Third-party ONNX files: imported, quantized to int8, converted to TFLite."""
    found = results.read("foreign")
    lines = ["| file | operator set | float | int8 | metric | float | int8 | TFLite |", "|---" * 8 + "|"]
    for case in found["files"].values():
        onnx, tflite = case["onnx"], case["tflite"]
        cells = [f"`{case['file']}`", str(case["opset"])]
        if "refused" in onnx:
            cells += ["", "", "", "", onnx["refused"][0][0]]
        else:
            float_, int8 = (onnx["stages"][name] for name in ("float", "int8"))
            name = "accuracy" if "accuracy" in float_ else "mae"
            show = "{:.1%}" if name == "accuracy" else "{:.4f}"
            cells += [show_bytes(float_["bytes"]), show_bytes(int8["bytes"])]
            cells += ["accuracy" if name == "accuracy" else "mean absolute error against the original file"]
            cells += [show.format(float_[name]), show.format(int8[name])]
        if "refused" in tflite:
            said = tflite["refused"][0][0]
            cells.append(
                "" if "refused" in onnx else "refused: " + re.sub(r"node `[^`]*` ", "", said).partition(":")[0]
            )
        else:
            cells.append(show.format(tflite["stages"]["tflite"][name]))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *_older(found), stamp(found)]) + "\n"


def _older(found: dict[str, Any]) -> list[str]:
    """Name the files whose rows were not measured again when the last ones were."""
    rows = [case for case in found["files"].values() if case["date"] != found["date"]]
    dates = dict.fromkeys(case["date"] for case in rows)
    files = {date: ", ".join(f"`{case['file']}`" for case in rows if case["date"] == date) for date in dates}
    return [f"<sub>Measured on {date}, by the version of that day: {names}.</sub>\n" for date, names in files.items()]


QUANTIZERS = ["onnxruntime", "NNCF", "litert-torch"]


def quant() -> str:
    """Accuracy, time and size of int8 for each float model, by quantizer; ours last."""
    found = results.read("quant")
    methods = [each for name in QUANTIZERS for each in (name, f"{name}, best")]
    heads = ["model", "float", *methods, "**edgepress**", "**its TFLite**"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    drops, agreements, hard = [], [], ""
    for name, model in found["models"].items():
        rows = {row["method"]: row for row in model["rows"]}
        host = next(each for each in rows if each.startswith("edgepress"))
        agreements.append(rows["edgepress tflite"]["as_onnx"]["edgepress xnnpack"])
        right = f"{rows['float']['accuracy']:.1%}" if model["labelled"] else ""
        cells = [f"{right} {rows['float']['ms']:.2f} ms".strip()]
        cells += [_int8(rows[each], model) if each in rows else "" for each in [*methods, host, "edgepress tflite"]]
        lines.append(f"| {model['title']} | " + " | ".join(cells) + " |")
        if model["labelled"]:
            drops.append(rows[host]["drop"])
        if name == "hard":
            won = min(1, 1 - rows[host]["drop"] / rows["onnxruntime"]["drop"])
            hard = f"Of the loss of onnxruntime's default on scaled channels {won:.0%} is recovered. "
    versions = ", ".join(f"{name} {found['peers'][name]}" for name in ("nncf", "litert-torch", "ai-edge-quantizer"))
    if "normalize" not in found["models"]["efficientnet"]:
        versions += (
            ". **EfficientNet-Lite0's inputs were normalized by ImageNet's mean and standard deviation, on which it "
            "was not trained: the times and sizes of its row hold, its counts have to be measured again**"
        )
    words = (
        f"edgepress loses {fmean(drops):+.2f} points of accuracy on average. {hard}Its TFLite and ONNX files predict "
        f"the same class on {min(agreements):.1%} of the test images or more.\n\n"
        "Each cell has three numbers. With labels the first is the accuracy lost against float, in points, ± half of "
        "the 95% interval. Without labels it is the number of images whose class differs from float's, which is a "
        "disagreement and no accuracy. Time is relative to float in the same runtime, one thread; size to the float "
        f"file. Best: the best of the settings in `tests/bench/quant_settings.py` by validation. {versions}."
    )
    return "\n".join([*lines, "", f"{words} {stamp(found)}"]) + "\n"


def _int8(row: dict[str, Any], model: dict[str, Any]) -> str:
    if "refused" in row:
        return "does not run"
    half = (row["interval"][1] - row["interval"][0]) / 2
    lost = [f"{row['drop']:+.2f} ±{half:.2f}"] if model["peers"] else []
    if lost and not model["labelled"]:
        lost = [f"{round((1 - row['agreement']) * model['images'])} of {model['images']} differ"]
    return " · ".join([*lost, f"{row['ratio']:.2f}x", f"{row['bytes'] / row['bytes_of_float']:.2f}x"])


def precision() -> str:
    """Size, time and agreement of every precision, a row each, a column for each runtime."""
    found = results.read("precision")
    runtimes = ("onnxruntime", "litert", "tflite-runtime")
    rows: dict[str, dict[str, Any]] = {}
    for row in found["rows"]:
        rows.setdefault(row["precision"], {})[row["runtime"]] = row
    heads = ["precision", "size", *(f"time, {name}" for name in runtimes), "agrees with float"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, each in rows.items():
        cells = [_ratio(each[runtime]) if runtime in each else "" for runtime in runtimes]
        size = min(row["size_ratio"] for row in each.values())
        agrees = min(row["agreement"] for row in each.values())
        lines.append("| " + " | ".join([f"`{name}`", f"{size:.2f}x", *cells, f"{agrees:.1%}"]) + " |")
    words = (
        f"Size and time of {found['network'].replace('@', ', ')} px over the float file of the same runtime, "
        f"one thread, 95% intervals over {found['processes']} processes. Agreement: share of {found['asked']} "
        f"photographs on which {found['answers_of']} predicts float's class, in the runtime with the lowest"
        + (f"; measured {found['answers_date']}." if "answers_date" in found else ".")
    )
    return "\n".join([*lines, "", f"{words} {stamp(found)}"]) + "\n"


def _ratio(row: dict[str, Any]) -> str:
    low, high = row["interval"]
    return f"{row['time_ratio']:.2f}x" + (f" [{low:.2f}, {high:.2f}]" if low < high else "")
