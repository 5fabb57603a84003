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
        given = {option: "null" if value is None else value for option, value in row["options"].items()}
        options = "".join(f", `{option}: {value}`" for option, value in given.items())
        size = f"{show_bytes(row['bytes'])} → {show_bytes(row['files']['int8']['bytes'])}"
        cells = [f"`{name}`{options}", f"{row['boxes']:,} on {row['pictures']} pictures"]
        cells += [_f1(row["files"][kind]) for kind in KINDS] + [size, f"{row['seconds']:.0f} s"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", stamp(found)]) + "\n"


def _f1(cell: dict[str, Any]) -> str:
    if "refused" in cell:
        return f"refused: {cell['refused']}"
    return f"{cell['f1']:.3f} [{cell['low']:.3f}, {cell['high']:.3f}]"
