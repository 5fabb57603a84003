"""How often the gate is right, and how far off estimates, connections and emulated processors are."""

from __future__ import annotations

from collections.abc import Iterable

from tests.bench import results
from tests.pages import stamp

STUDENT = "Measured on the former student of `mobilenet`, a pruned MobileNetV3."
"""Of results that are older than its MobileNetV1, until their benchmark is run again."""


def slower() -> str:
    """Verdicts on the model of `mobilenet` and on its slower twin."""
    found = results.read("slower")
    names = {"unchanged": "unchanged", "slower": f"{found['ratio']:.2f}x the CPU time"}
    lines = ["| int8 model of `mobilenet` | verdicts on its latency, limit 10% above it |", "|---|---|"]
    for name, verdicts in found["verdicts"].items():
        lines.append(f"| {names[name]} | " + ", ".join(f"{word} {count}" for word, count in verdicts.items()) + " |")
    return "\n".join([*lines, "", f"{STUDENT} {stamp(found)}"]) + "\n"


def falsely() -> str:
    """Share of red verdicts of each rule; ideally 0% for an unchanged model and 100% for a slower one."""
    found = results.read("gate")
    cases = found["cases"]
    share = f"{found['slower']['ratio']:.2f}x the work"
    titles = [
        f"{'unchanged' if case['candidate'] == 'unchanged' else share}, {'busy cores' if case['busy'] else 'idle'}"
        for case in cases
    ]
    lines = ["| red verdicts | " + " | ".join(titles) + " |", "|---" * (len(cases) + 1) + "|"]

    def row(name: str, cells: Iterable[str]) -> None:
        lines.append(f"| {name} | " + " | ".join(cells) + " |")

    row("gates", (str(case["gates"]) for case in cases))
    row("**edgepress**", (f"**{case['red']:.1%}**" for case in cases))
    row("edgepress, undecided", (f"{case['verdicts'].get('undecided', 0) / case['gates']:.1%}" for case in cases))
    for rule in cases[0]["others"]:
        row(f"{rule}, same samples", (f"{case['others'][rule]['same_samples']:.0%}" for case in cases))
        row(f"{rule}, stored reference", (f"{case['others'][rule]['stored_reference']:.0%}" for case in cases))
    row("seconds per gate (median)", (f"{case['seconds']:.0f}" for case in cases))
    return "\n".join([*lines, "", f"{found['model']}, 1 thread, limit +5%. {stamp(found)}"]) + "\n"


def estimates() -> str:
    """The error of every group of references, each estimated from the others."""
    found = results.read("estimates")
    heads = ["target", "references of", "precision", "threads", "references"]
    heads += ["median error", "90th percentile", "inside interval", "interval"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in found["groups"]:
        how = ", ".join(row["interval"])
        cells = [row["target"], row["runtime"] + " (proxy)" * row["proxy"], row["precision"], row["threads"]]
        cells += [
            row["references"],
            f"{row['median_error']:.0%}",
            f"{row['p90_error']:.0%}",
            f"{row['inside']:.0%}",
            how,
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    checked = f"{found['checked_on_silicon']} of {found['profiles']} profiles were checked on the device itself."
    return "\n".join([*lines, "", f"{checked} {stamp(found)}"]) + "\n"


def over_ssh() -> str:
    """Latency over ssh relative to latency measured locally."""
    found = results.read("ssh")
    lines = ["| model | over ssh / local | 95% interval |", "|---|---|---|"]
    for name, row in found["models"].items():
        lines.append(f"| {name} | {row['ratio']:.3f} | {row['low']:.3f}–{row['high']:.3f} |")
    return "\n".join([*lines, "", f"{found['pairs']} pairs of processes. {stamp(found)}"]) + "\n"


def emulate() -> str:
    """Accuracy of the files of `mobilenet` on emulated processors, and the verdict of a budget of one point."""
    found = results.read("emulate")
    head = ["file", "runtime", "processor", "accuracy", "same class as here", "drop, 95% interval"]
    lines = ["| " + " | ".join([*head, f"{found['limit']}: here", "there"]) + " |", "|---" * 8 + "|"]
    for row in found["rows"]:
        low, high = row["interval"]
        cells = [f"`{row['file']}`", row["runtime"], row["cpu"], f"{row['accuracy']:.1%}"]
        cells.append(f"{round(row['agreement'] * row['images'])} of {row['images']}")
        cells += [f"{row['drop']:+.2f} [{low:+.2f}, {high:+.2f}]", row["verdict"]["here"], row["verdict"]["emulated"]]
        lines.append("| " + " | ".join(cells) + " |")
    emulator = ", ".join(f"{name} {version}" for name, version in found["emulator"].items())
    before, after = found["x86_only"]["without"], found["x86_only"]["with"]
    lines += [
        "",
        "A file with a cast of its input through uint16, where x86 wraps negative numbers and Arm makes them 0: "
        f"{before['value']:.1%} here, exit {before['exit']}; with `emulate: cortex-a72` {after['value']:.1%}, "
        f"exit {after['exit']}.",
    ]
    words = f"Drops against the float file here, {found['reference']:.1%}; emulated with {emulator}."
    return "\n".join([*lines, "", f"{words} {STUDENT} {stamp(found)}"]) + "\n"
