"""Compare the outputs for real inputs with the expected ones: `python selftest.py`; exit 1 where they differ.

Processors round differently, so outputs may differ by `tolerance` times the largest expected number; integers by one
more step. Inputs must be the same bytes.
"""

import json
import sys
from pathlib import Path

import numpy as np
from preprocess import MODEL, decode, preprocess
from run import Model

FOLDER = Path(__file__).parent / "selftest"


def check(model, folder, label):
    """Return what is wrong with one example; empty where nothing is."""
    raws = [np.load(path) for path in sorted(folder.glob("raw_*.npy"))]
    inputs = preprocess(*raws)
    for index, (x, entry) in enumerate(zip(inputs, MODEL["inputs"])):
        if x.tobytes() != (folder / f"input_{index:02}.bin").read_bytes():
            return f"input `{entry['name']}` is prepared differently"
    outputs = model(*inputs)
    for index, (y, entry) in enumerate(zip(outputs, MODEL["outputs"])):
        expected = np.fromfile(folder / f"output_{index:02}.bin", entry["dtype"]).astype(np.float64)
        found = np.asarray(y, np.float64).reshape(-1)
        if found.shape != expected.shape or np.isfinite(found).tolist() != np.isfinite(expected).tolist():
            return f"output `{entry['name']}` has other numbers"
        most = MODEL["tolerance"] * np.abs(expected[np.isfinite(expected)]).max(initial=0)
        off = np.abs(found - expected)[np.isfinite(expected)].max(initial=0)
        if off > most + (not entry["dtype"].startswith("float")):
            return f"output `{entry['name']}` is off by {off:.3g}, and may be by {most:.3g}"
    if (folder / "boxes.npy").is_file() and not same_boxes(folder):
        return "the expected outputs are decoded as other boxes"
    if label is not None and decode(*outputs)[0][0] != label:
        return f"it is decoded as `{decode(*outputs)[0][0]}`, and expected is `{label}`"
    return ""


def same_boxes(folder):
    """Return whether the expected outputs of an example are decoded as the expected boxes, in any order."""
    ends = MODEL["outputs"]
    outputs = [np.fromfile(folder / f"output_{i:02}.bin", e["dtype"]).reshape(e["shape"]) for i, e in enumerate(ends)]
    found = [[*box, score, MODEL["labels"].index(label)] for label, score, box in decode(*outputs)]
    found, expected = np.reshape(found, (-1, 6)), np.load(folder / "boxes.npy")
    off = np.abs(found[:, None] - expected).max(2)
    return len(found) == len(expected) and bool((off.min(0, initial=np.inf) < 0.01).all())


def main():
    model = Model()
    labels = json.loads((FOLDER / "labels.json").read_text(encoding="utf-8"))
    wrong = 0
    for number, label in enumerate(labels):
        problem = check(model, FOLDER / str(number), label)
        print(f"{number}: {problem or 'ok'}{'' if label is None or problem else f', {label}'}")
        wrong += bool(problem)
    print(f"{len(labels) - wrong} of {len(labels)} are as expected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
