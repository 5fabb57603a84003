"""What large data and quantizing cost: seconds, memory, images a second."""

from __future__ import annotations

from typing import Any

from edgepress.core.units import show_bytes

from tests.bench import results
from tests.pages import stamp


def quant_cost() -> str:
    """Seconds, peak memory and SQNR of quantizing one network, here and by others."""
    found = results.read("quant-cost")
    lines = ["| quantizer | seconds | peak memory | SQNR on test images |", "|---|---|---|---|"]
    for row in found["rows"]:
        if "refused" in row:
            lines.append(f"| {row['method']} | refused: {row['refused'].replace('|', '/')} | | |")
            continue
        seconds = f"{row['seconds']:.1f} s" + (f", {row['stage']:.1f} s with its scores" if "stage" in row else "")
        lines.append(f"| {row['method']} | {seconds} | {show_bytes(row['memory'])} | {_decibels(row['sqnr'])} |")
    facts = f"{found['model']}: {found['samples']} images to calibrate on, {found['images']} that are counted."
    return "\n".join([facts, "", *lines, "", stamp(found)]) + "\n"


def _decibels(sqnr: float | dict[str, float]) -> str:
    if isinstance(sqnr, dict):
        return ", ".join(f"{value:.1f} dB (`{preset}`)" for preset, value in sqnr.items())
    return f"{sqnr:.1f} dB"


def streaming() -> str:
    """Peak memory and speed of training on a folder of photos."""
    found = results.read("streaming")
    peaks, rates = found["peak_bytes"], found["images_per_second"]
    lines = [f"| {found['images']:,} photos of 224 px | |", "|---|---|"]
    lines.append(f"| peak memory of an epoch, `--limit {found['limit']}` | {show_bytes(peaks['limited'])} |")
    lines.append(f"| peak memory of an epoch, all | {show_bytes(peaks['whole'])} |")
    lines.append(f"| images a second, here | {_rates(rates['edgepress'])} |")
    lines.append(f"| images a second, a plain loop over torchvision's ImageFolder | {_rates(rates['torchvision'])} |")
    lines.append(f"| ratio, geometric mean of the pairs | {rates['ratio']:.3f} |")
    lines.append(f"| `edgepress plan`, run again | {found['plan_seconds']:.1f} s |")
    return "\n".join([*lines, "", stamp(found)]) + "\n"


def _rates(rates: list[float]) -> str:
    return ", ".join(f"{rate:.0f}" for rate in rates)


def memory() -> str:
    """Peak memory of each stage by the number of examples."""
    found = results.read("memory")
    counts = found["counts"]
    lines = ["| stage | " + " | ".join(f"{count:,} images" for count in counts) + " | apart |"]
    lines.append("|---" * (len(counts) + 2) + "|")
    rows: list[dict[str, Any]] = found["rows"]
    for row in rows:
        peaks = [row["peak_bytes"][str(count)] for count in counts]
        cells = [f"`{row['stage'].replace(', ', '`, ', 1)}" + "`" * (", " not in row["stage"])]
        lines.append("| " + " | ".join([*cells, *map(show_bytes, [*peaks, max(peaks) - min(peaks)])]) + " |")
    return "\n".join([*lines, "", stamp(found)]) + "\n"
