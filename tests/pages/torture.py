"""What kills, faults and mutated files did to the commands."""

from __future__ import annotations

from statistics import median
from typing import Any

from tests.bench import results
from tests.pages import stamp

HEAD = "| campaign | inputs | commands | exit codes | slowest | most memory | faults |"


def torture() -> str:
    """Show one row a campaign: inputs, commands, exit codes, the slowest and the largest command, faults."""
    from tests.torture.table import CAMPAIGNS

    found = results.read("torture")
    rows: dict[str, dict[str, Any]] = found["campaigns"]
    lines = [HEAD, "|---|---|---|---|---|---|---|"]
    for name, row in rows.items():
        cells = [
            f"**{name}**: {CAMPAIGNS[name].title}",
            f"{row['inputs']:,}",
            f"{row['commands']:,}",
            ", ".join(f"{code}: {count:,}" for code, count in row["codes"].items()).replace("-", "−"),
            f"{row['slowest']:.1f} s",
            f"{row['memory']} MB",
            ", ".join(f"{kind}: {count}" for kind, count in row["faults"].items()) or "0",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    minutes = sum(row["cpu"] for row in rows.values()) / 60
    lines += ["", *(f"- {name}: {_facts(row)}" for name, row in rows.items() if row["facts"] or row["heeded"]), ""]
    lines.append("Exit code −9 is that of a command that was killed; wall time is divided by the load of the machine.")
    places: dict[str, list[str]] = {f"{row['machine']}, {row['date']}": [] for row in rows.values()}
    for name, row in rows.items():
        places[f"{row['machine']}, {row['date']}"].append(name)
    words = "; ".join(f"{', '.join(names)}: {place}" for place, names in places.items())
    lines.append(f"All took {minutes:.0f} minutes of CPU time. Run on: {words}.")
    return "\n".join([*lines, "", stamp(found)]) + "\n"


def _facts(row: dict[str, Any]) -> str:
    words = [f"{count:,} {name}" for name, count in row["facts"].items()]
    if row["heeded"]:
        words.append(f"at most {row['heeded']:.1f} s from the signal to the end")
    return ", ".join(words)


def isolation() -> str:
    """Show what the supervised child process costs: each recipe's seconds, and the ratio in pairs."""
    found = results.read("isolation")
    lines = ["| command | pairs | alone | supervised | wall, paired | CPU, paired |", "|---|---|---|---|---|---|"]
    rows = {f"run {name}": row for name, row in found["recipes"].items()} | {"--help": found["help"]}
    for name, row in rows.items():
        wall = row["wall"]["seconds"]
        cells = [f"`edgepress {name}`", str(len(wall["alone"]))]
        cells += [f"{median(wall[which]):.2f} s" for which in ("alone", "supervised")]
        cells += ["{:.3f} [{:.3f}–{:.3f}]".format(*row[clock]["ratio"]) for clock in ("wall", "cpu")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", stamp(found)]) + "\n"
