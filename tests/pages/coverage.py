"""Which of timm's networks convert, and how near the results are."""

from __future__ import annotations

from typing import Any

from tests.bench import results
from tests.pages import stamp


def equal_integers(modules: dict[str, Any]) -> float:
    """Share of the outputs of all int8 operators that are equal in ONNX and TFLite, each fed with the same integers."""
    steps = [row["steps"].get("int8", {}) for row in modules.values()]
    differ = sum(each["share"] * each["of"] for step in steps for each in step.get("apart", {}).values())
    return 1 - differ / sum(step.get("integers", 0) for step in steps)


def coverage() -> str:
    """How many modules reach each step, what stops the others, and every module in a collapsed list."""
    from tests.bench.coverage import EXACT, KINDS, STEPS, WITHIN, agrees, exact

    found = results.read("coverage")
    rows = found["modules"]
    steps = {module: row["steps"] for module, row in rows.items()}
    done = {name: sum("stopped" not in each.get(name, {"stopped": []}) for each in steps.values()) for name in KINDS}
    floats, integers = (sum(map(judge, steps.values())) for judge in (exact, agrees))
    whole = len(rows)
    lines = [f"| the smallest network of each of {whole} modules of timm, under 10 M parameters | |", "|---|---|"]
    lines += [f"| {words} | {done[name]} of {whole} |" for name, words in KINDS.items()]
    lines.append(f"| float TFLite within {EXACT:g} of torch, in both runtimes | **{floats} of {whole}** |")
    lines.append(
        f"| int8 TFLite within {STEPS} steps of int8 ONNX on {WITHIN:.0%} of the outputs | **{integers} of {whole}** |"
    )
    between = sum(row.get("int8", {}).get("between", 0) >= WITHIN for row in steps.values())
    lines.append(f"| onnxruntime's integer and float execution of a graph, as near | {between} of {whole} |")
    same = equal_integers(rows)
    lines.append(f"| int8 operators one by one, fed with the graph's own integers: equal outputs | {same:.5%} |")
    timed = next(iter(found["conversion"].values()))
    name = next(iter(found["conversion"])).replace("@", ", ") + " px"
    seconds = " and ".join(f"{timed[each]['seconds']:.2f} s" for each in ("float", "int8"))
    lines.append(f"| converting {name}, float and int8 | {seconds} |")
    stopped = [
        f"`{rows[module]['model']}` ({module}), {name}: {each['stopped'][0].splitlines()[0]}"
        for module, row in steps.items()
        for name, each in row.items()
        if "stopped" in each
    ]
    lines += ["", *(f"- {line}" for line in stopped)] if stopped else []
    lines += [
        "",
        '<details markdown="1"><summary>Every module</summary>',
        "",
        "| network | pixels | float, largest error | int8 outputs within the limit | |",
    ]
    lines.append("|---|---|---|---|---|")
    for module, row in steps.items():
        cells = [f"`{rows[module]['model']}`" + ("" if module in rows[module]["model"] else f" ({module})")]
        cells.append(str(row["export"].get("pixels", [""])[0]))
        cells.append(f"{max(row['float']['off'].values()):.0e}" if "off" in row.get("float", {}) else "")
        within = row.get("int8", {}).get("within", {}).get("litert", {})
        cells.append(f"{max(within.values()):.1%}" if within else "")
        cells.append("ok" if exact(row) and agrees(row) else "")
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", f"Too large: {', '.join(found['too_large'])}.", "", "</details>"]
    return "\n".join([*lines, "", stamp(found)]) + "\n"
