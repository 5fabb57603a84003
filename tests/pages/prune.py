"""Which networks can be pruned, and whether that is as exact as zeros."""

from __future__ import annotations

from typing import Any

from edgepress.stages.prune.plan import reasons

from tests.bench import results
from tests.pages import stamp


def prune() -> str:
    """Count the networks whose export is exact, and list what is removed and left of each."""
    from tests.bench.prune import EXACT

    found = results.read("prune")
    rows: dict[str, dict[str, dict[str, Any]]] = found["networks"]
    mine = {arch: row["ours"] for arch, row in rows.items()}
    alone = {arch: row["alone"]["outcome"] for arch, row in rows.items() if row.get("alone")}
    exact = [arch for arch, row in mine.items() if row.get("difference", 1.0) <= EXACT]
    rounded = [arch for arch, row in mine.items() if arch not in exact and row.get("float64", 1.0) <= 1e-9]
    refused = [arch for arch, row in mine.items() if "refused" in row]
    partly = [arch for arch in exact if mine[arch]["unpruned"]]
    lines = [f"| {len(rows)} networks, {found['ratio']:.0%} of the channels | |", "|---|---|"]
    lines.append(f"| pruned: exported, within {EXACT:g} of the unpruned export with zeros | **{len(exact)}** |")
    lines.append(f"| of these with layers left, named | {len(partly)} |")
    lines.append(f"| refused before training, with the layers named | {len(refused)} |")
    lines.append(f"| equal in float64, to 1e-9; in float32 roundings grow beyond {EXACT:g} | {len(rounded)} |")
    lines.append(f"| none of these | {len(rows) - len(exact) - len(refused) - len(rounded)} |")
    for outcome in dict.fromkeys(alone.values()):
        count = sum(other == outcome for other in alone.values())
        lines.append(f"| torch-pruning without the check: {outcome} | {count} of {len(alone)} |")
    lines += ["", '<details markdown="1"><summary>Every network</summary>', ""]
    heads = ["network", "pixels", "parameters", "difference", *["torch-pruning alone"] * bool(alone), "left unpruned"]
    lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for arch, row in mine.items():
        counts = row.get("parameters", [])
        cells = [f"`{arch}`", str(row.get("pixels", ""))]
        cells.append(f"{counts[1] / counts[0] - 1:+.0%}".replace("-", "−") if len(counts) == 2 else "")
        cells.append(f"{row['difference']:.0e}" if "difference" in row else "")
        cells += [alone.get(arch, "")] * bool(alone)
        left = row.get("refused") or "; ".join(reasons(row.get("unpruned", {}))) or row.get("error", "")
        lines.append("| " + " | ".join([*cells, left.replace("|", "/")]) + " |")
    return "\n".join([*lines, "", "</details>", "", stamp(found)]) + "\n"
