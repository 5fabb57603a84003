"""What int8 leaves of the boxes of detectors that others exported."""

from __future__ import annotations

from typing import Any

from edgepress.core.units import show_bytes

from tests.bench import results
from tests.pages import stamp

KINDS = ("int8", "int8, TFLite")


def detectors() -> str:
    """F1 of the boxes of each file against those of the file as it came."""
    found = results.read("detectors")
    lines = ["| file | boxes | F1 of int8 | F1 of int8 as TFLite | size | quantized in |", "|---|---|---|---|---|---|"]
    for name, row in found["files"].items():
        size = f"{show_bytes(row['bytes'])} → {show_bytes(row['files']['int8']['bytes'])}"
        cells = [f"`{name}`", f"{row['boxes']:,} on {row['pictures']} pictures"]
        cells += [_f1(row["files"][kind]) for kind in KINDS] + [size, f"{row['seconds']:.0f} s"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", stamp(found)]) + "\n"


def _f1(cell: dict[str, Any]) -> str:
    if "refused" in cell:
        return f"refused: {cell['refused']}"
    return f"{cell['f1']:.3f} [{cell['low']:.3f}, {cell['high']:.3f}]"


def detect() -> str:
    """What distilling gains a detector, and what int8 costs it by each quantizer."""
    found = results.read("detect")
    lines = []
    if distill := found.get("distill"):
        lines += ["| labels | teacher | plain | distilled | distilled − plain, paired |", "|---|---|---|---|---|"]
        lines += [_gain(labels, **part) for labels, part in distill.items()] + [""]
    for name, rows in found.get("int8", {}).items():
        lines += [f"| {name} | mAP | lost, 95% interval | size | quantized in |", "|---|---|---|---|---|"]
        lines += [_way(row) for row in rows] + [""]
    return "\n".join([*lines, stamp(found)]) + "\n"


def _gain(labels: str, rows: list[dict[str, float]], gain: dict[str, float]) -> str:
    means = [f"{sum(row[name] for row in rows) / len(rows):.1f}" for name in ("teacher", "plain", "distilled")]
    paired = f"{gain['mean']:+.1f} [{gain['low']:+.1f}, {gain['high']:+.1f}], {len(rows)} seeds"
    return f"| {int(labels):,} | {' | '.join(means)} | {paired} |"


def _way(row: dict[str, Any]) -> str:
    if "refused" in row:
        return f"| {row['way']} | refused: {row['refused'].replace('|', '/')} | | | |"
    lost = f"{row['lost']:.1f} [{row['low']:.1f}, {row['high']:.1f}]" if "lost" in row else ""
    seconds = f"{row['seconds']:.0f} s" if "seconds" in row else ""
    return f"| {row['way']} | {row['map']:.1f} | {lost} | {show_bytes(row['bytes'])} | {seconds} |"
