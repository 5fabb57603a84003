"""Show how the models' inputs are made, and what that takes."""

from __future__ import annotations

from statistics import median

from ...core.results import Preprocessing, Report
from ...core.units import show_seconds
from .wording import wrapped


def prepared(report: Report) -> list[str]:
    """Return how the models' inputs are made, and what of the data was not read.

    Reports of older versions have neither.
    """
    lines = wrapped("inputs: ", report.data["inputs"]) if report.data.get("inputs") else []
    return lines + [line for words in report.data.get("notes", ()) for line in wrapped("data: ", words)]


def around_inference(report: Report) -> list[str]:
    """Describe the work before each inference, and that after it where there is any."""
    if report.preprocessing is None:
        return []
    lines = wrapped("before each inference: ", before_inference(report.preprocessing))
    after = after_inference(report.preprocessing)
    return lines + (wrapped("after each inference: ", after) if after else [])


def after_inference(preprocessing: Preprocessing) -> str:
    """Describe the work after each inference; empty where there is none."""
    if not preprocessing.decode:
        return ""
    count = len(preprocessing.decode)
    words = f"{show_seconds(median(preprocessing.decode))} to decode boxes and suppress the worse of overlapping ones"
    return f"{words}; measured here: numpy, CPU time, 1 thread, median of {count}"


def before_inference(preprocessing: Preprocessing) -> str:
    """Return the median times of reading and preparing, which latencies leave out."""
    parts = [f"{show_seconds(median(preprocessing.read))} to read and resize an image"] if preprocessing.read else []
    act = "normalise it" if preprocessing.read else "prepare an example"
    parts.append(f"{show_seconds(median(preprocessing.ready))} to {act}")
    return f"{', '.join(parts)}; measured here: CPU time, 1 thread, median of {len(preprocessing.ready)}"
