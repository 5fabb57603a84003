"""EfficientNet-Lite0 by every quantizer at its best, a row for each."""

from __future__ import annotations

from typing import Any

from tests.bench import results
from tests.pages import stamp

MADE_FOR = {
    "onnxruntime": "onnxruntime itself",
    "NNCF": "OpenVINO, which its published figures are of",
    "AIMET": "simulating Qualcomm's accelerators; its QDQ export is run here",
    "AMD Quark": "AMD's NPUs and GPUs",
    "litert-torch": "LiteRT, which it is run in",
}


def quant_peers() -> str:
    """Setting, agreement or accuracy, SQNR, seconds to quantize, time and size of each method."""
    found = results.read("quant")
    model = found["models"]["efficientnet"]
    labelled = model["labelled"]
    heads = [
        f"{model['title']}, int8", "setting", "top-1" if labelled else "class of float",
        "SQNR", "to quantize", "latency", "size",
    ]  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in model["rows"]:
        if row["method"].startswith("float"):
            continue
        name = f"**{row['method']}**" if row["method"].startswith("edgepress") else row["method"]
        if "refused" in row:
            lines.append(f"| {name} | {_setting(row.get('options', {}))} | {row['refused']} |" + " |" * 4)
            continue
        right = (
            f"{row['accuracy']:.1%}"
            if labelled
            else f"{round(row['agreement'] * model['images'])} of {model['images']}"
        )
        seconds = f"{row['seconds']:.0f} s" if row.get("seconds") is not None else ""
        cells = [name, _setting(row["options"]), right, f"{row['sqnr']:.1f} dB", seconds, f"{row['ratio']:.2f}x",
                 f"{row['bytes'] / row['bytes_of_float']:.2f}x"]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    made = "; ".join(f"{name}: {purpose}" for name, purpose in MADE_FOR.items())
    versions = ", ".join(f"{name} {version}" for name, version in found["peers"].items() if name in _NAMED)
    words = (
        f"All are calibrated on the same {model['samples']} images and counted on {model['images']} others. Best: the "
        "setting of the grid in `tests/bench/quant_settings.py` that is right most often on the calibration's split. "
        "To quantize: without the start of the process, on two cores that others used too; edgepress has its checks "
        "and its timing in it. Latency is relative to float in the same runtime, one thread. Made for: "
        f"{made}. {versions}, measured {model.get('date', found['date'])}."
    )
    return "\n".join([*lines, "", f"{words} {stamp(found)}"]) + "\n"


_NAMED = ("nncf", "aimet-onnx", "amd-quark", "litert-torch", "ai-edge-quantizer")


def _setting(options: dict[str, Any]) -> str:
    """The options as `tests/bench/peers/` has them."""
    words = [name if value is True else f"{name} {value}" for name, value in options.items()]
    return ", ".join(words) or "defaults"
