"""What distilling and fusing gain, and what the training loop costs."""

from __future__ import annotations

from statistics import fmean

from tests.bench import results
from tests.pages import stamp


def baselines() -> str:
    """Accuracy on the test images, seed by seed, and what distilling gained over each baseline."""
    found = results.read("baselines")
    names = {"distilled": "distilled", "cross_entropy": "cross-entropy", "label_smoothing": "label smoothing"}
    lines = ["| seed | " + " | ".join(names.values()) + " |", "|---" * 4 + "|"]
    for seed, row in found["seeds"].items():
        lines.append(f"| {seed} | " + " | ".join(f"{row[name]['test']:.1f}%" for name in names) + " |")
    for name, gain in found["gain"].items():
        shown = "no difference shown" if gain["low"] <= 0 <= gain["high"] else "a difference"
        words = f"Distilled minus {names[name]}: {gain['mean']:+.1f} points, 95% interval over seeds "
        lines += ["", words + f"[{gain['low']:+.1f}, {gain['high']:+.1f}]: {shown}."]
    return "\n".join([*lines, "", stamp(found)]) + "\n"


TITLES = {
    "digits": "digits, 100 labels, tiny ResNet; the teacher saw 1,078",
    "unlabelled": "Fashion-MNIST, 300 labels, tiny ResNet; the shipped teacher saw 55,000",
    "averages": "two ResNets from independent starts, 7,000 images",
    "shallow": "two networks of two convolutions from independent starts, smartwatch exercises",
    "controls": "2,000 images, tiny ResNet; the teacher saw no more",
    "soups": "three fine-tunes of one tiny ResNet, 7,000 images",
}


NAMES = {
    "ce": "labels alone",
    "smoothing": "labels alone, smoothed",
    "longer": "labels alone, for the compute of all models together",
    "kd": "`distill.kd`",
    "kd_t2": "`distill.kd`, T = 2, weights 0.3 and 0.7",
    "kd_unlabelled": "`distill.kd`, with the unlabelled images",
    "standardized": "`distill.kd`, `standardize: true`",
    "naive": "mean of the weights",
    "naive_bn": "mean of the weights, batch norm re-estimated",
    "rebasin": "re-basin, mean",
    "rebasin_bn": "re-basin, mean, batch norm re-estimated",
    "best_single": "the best single one by validation",
}


BESIDE = {
    "digits": "ce",
    "unlabelled": "ce",
    "averages": "one",
    "shallow": "one",
    "controls": "ce",
    "soups": "best_single",
}
"""The baseline of each part."""


def distill() -> str:
    """Test accuracy of every method, and its gain over the baseline of its part."""
    from tests.bench.distill import gain

    found = results.read("distill")
    lines = ["| | test accuracy | gain, 95% interval |", "|---|---|---|"]
    for part, title in TITLES.items():
        rows, beside = found["rows"].get(part, []), BESIDE[part]
        if not rows:
            continue
        lines.append(f"| **{title}**, {len(rows)} seeds | | |")
        names = [name for name in rows[0] if name not in ("start", "a", "b", "c", "two")]
        for name in sorted(names, key=lambda name: fmean(row[name] for row in rows)):
            more = gain(rows, name, beside)
            words = "" if name == beside else f"{more['mean']:+.1f} [{more['low']:+.1f}, {more['high']:+.1f}]"
            lines.append(f"| {NAMES.get(name, f'`{name}`')} | {fmean(row[name] for row in rows):.1f}% | {words} |")
    return "\n".join([*lines, "", stamp(found)]) + "\n"


def train() -> str:
    """The training loop beside a plain one."""
    found = results.read("train")
    heads = list(next(iter(found["rows"].values())))
    titles = {
        "as they are": "images as they are",
        "mirrored and moved": "flipped and shifted",
        "distilled": "distilled",
    }
    lines = ["| network | " + " | ".join(titles[name] for name in heads) + " | images per second |"]
    lines.append("|---" * (len(heads) + 2) + "|")
    for name, row in found["rows"].items():
        cells = [f"{row[head]['ratio']:.2f} [{row[head]['low']:.2f}, {row[head]['high']:.2f}]" for head in heads]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {row['as they are']['images_a_second']:.0f} |")
    words = "Time of an epoch relative to a plain PyTorch loop; of distillation relative to labels alone. "
    words += f"{found['pairs']} pairs."
    return "\n".join([*lines, "", f"{words} {stamp(found)}"]) + "\n"
