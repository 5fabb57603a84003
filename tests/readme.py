"""The generated parts of README.md, from the committed result files. `make readme` puts them in."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean
from typing import Any

from edgepress.config import target
from edgepress.config.recipe import load, validate
from edgepress.core.results import Report
from edgepress.core.units import show_bytes
from edgepress.gate import judge as gate
from edgepress.gate.report import text

from tests.bench import results

README = Path(__file__).parents[1] / "README.md"
MISTAKES = ("temperature: 2", "temprature: 2"), ("ratio: 60%", "ratio: 60")


def run() -> str:
    """The text of the committed run of `mobilenet`, judged by the targets as they are now."""
    report = Report.model_validate_json((results.FOLDER / "run.json").read_text(encoding="utf-8"))
    recipe = load(Path(report.source))
    targets = [target.load(file) for file in recipe.target_files()]
    findings = gate.judge(report, targets, recipe.document.place(("keep", "accuracy_drop")))
    return _code(text.render(report, findings))


def mistake() -> str:
    """What `validate` says of the `mobilenet` recipe with two typical mistakes in it."""
    written = Path("recipes/mobilenet.yaml").read_text(encoding="utf-8")
    for right, wrong in MISTAKES:
        assert right in written
        written = written.replace(right, wrong)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mine.yaml")
        path.write_text(written, encoding="utf-8")
        said = "\n\n".join(str(problem) for problem in validate([path]))
        return _code(said.replace(str(path), "recipes/mine.yaml") + "\n")


def baselines() -> str:
    """Accuracy on the test images, seed by seed, and what distilling gained over each baseline."""
    found = results.read("baselines")
    names = {"distilled": "distilled", "cross_entropy": "cross-entropy", "label_smoothing": "label smoothing"}
    lines = ["| seed | " + " | ".join(names.values()) + " |", "|---" * 4 + "|"]
    for seed, row in found["seeds"].items():
        lines.append(f"| {seed} | " + " | ".join(f"{row[name]['test']:.1f}%" for name in names) + " |")
    for name, gain in found["gain"].items():
        shown = "no difference shown" if gain["low"] <= 0 <= gain["high"] else "a difference"
        words = f"Distilled less {names[name]}: {gain['mean']:+.1f} points, 95% interval over seeds "
        lines += ["", words + f"[{gain['low']:+.1f}, {gain['high']:+.1f}]: {shown}."]
    return "\n".join([*lines, "", _stamp(found)]) + "\n"


def slower() -> str:
    """What the gate said of the model of `mobilenet` and of its slower twin."""
    found = results.read("slower")
    names = {"unchanged": "unchanged", "slower": f"{found['ratio']:.2f}x the CPU time"}
    lines = ["| int8 model of `mobilenet` | verdicts on its latency, the limit a tenth above it |", "|---|---|"]
    for name, verdicts in found["verdicts"].items():
        lines.append(f"| {names[name]} | " + ", ".join(f"{word} {count}" for word, count in verdicts.items()) + " |")
    return "\n".join([*lines, "", _stamp(found)]) + "\n"


def falsely() -> str:
    """How often each rule was red: for an unchanged model it should never be, for a slower one always."""
    found = results.read("gate")
    cases = found["cases"]
    share = f"{found['slower']['ratio']:.2f}x the work"
    titles = [
        f"{'unchanged' if case['candidate'] == 'unchanged' else share}, {'both cores busy' if case['busy'] else 'idle'}"
        for case in cases
    ]
    lines = ["| red verdicts | " + " | ".join(titles) + " |", "|---" * (len(cases) + 1) + "|"]

    def row(name: str, cells: Iterable[str]) -> None:
        lines.append(f"| {name} | " + " | ".join(cells) + " |")

    row("gates", (str(case["gates"]) for case in cases))
    row("**edgepress**", (f"**{case['red']:.1%}**" for case in cases))
    row("edgepress, not decided", (f"{case['verdicts'].get('undecided', 0) / case['gates']:.1%}" for case in cases))
    for rule in cases[0]["others"]:
        row(f"{rule}, same samples", (f"{case['others'][rule]['same_samples']:.0%}" for case in cases))
        row(f"{rule}, stored reference", (f"{case['others'][rule]['stored_reference']:.0%}" for case in cases))
    row("seconds per gate (median)", (f"{case['seconds']:.0f}" for case in cases))
    return "\n".join([*lines, "", f"{found['model']}, 1 thread, limit +5%. {_stamp(found)}"]) + "\n"


def estimates() -> str:
    """The error of every group of references, each estimated from the others."""
    found = results.read("estimates")
    lines = ["| target | rows of | precision | threads | references | median error | 90% below | inside | interval |"]
    lines.append("|---" * 9 + "|")
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
    checked = f"{found['checked_on_silicon']} of {found['profiles']} profiles were checked on silicon."
    return "\n".join([*lines, "", f"{checked} {_stamp(found)}"]) + "\n"


def efficientnet() -> str:
    """What the exported EfficientNet-Lite0 tells of photographs, against its package, and int8 against the export."""
    found = results.read("efficientnet")
    head = f"EfficientNet-Lite0, {found['images']} JPEGs of {found['photographs']} photographs"
    lines = [f"| {head} | same class | 95% interval |", "|---|---|---|"]
    int8 = found["int8"]
    sure = "agreement_where_one_class_leads_by_0.1"
    wrongly = "agreement_of_the_package_fed_by_imagenets_moments"
    for name, share in (
        ("the exported file, against its package's network fed (x − 127) / 128", found["agreement"]),
        ("that network fed by ImageNet's mean and deviation instead", found[wrongly]),
        (f"int8, against that file, calibrated on {int8['calibrated_on']} other JPEGs of these", int8["agreement"]),
        ("the same where one class leads by 0.1", int8[sure]),
    ):
        low, high = share["wilson_95"]
        lines.append(f"| {name} | {share['same']} of {share['of']} | {low:.1%}–{high:.1%} |")
    return "\n".join([*lines, "", _stamp(found)]) + "\n"


def calibration() -> str:
    """Memory and time of taking ranges, beside onnxruntime's calibrators."""
    found = results.read("calibration")
    lines = ["| ranges of EfficientNet-Lite0 by | examples | peak memory | CPU time an example |", "|---|---|---|---|"]
    for row in found["rows"]:
        cells = [
            row["setting"],
            f"{row['samples']:,}",
            show_bytes(row["peak"]),
            f"{row['seconds_a_sample'] * 1e3:.0f} ms",
        ]
        if not row["setting"].startswith("onnxruntime"):
            cells[0] = f"**{cells[0]}**"
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", _stamp(found)]) + "\n"


def foreign() -> str:
    """What became of each file of other people's: as ONNX with int8, and as TFLite of that."""
    found = results.read("foreign")
    lines = ["| file | operator set | float | int8 | what is counted | float | int8 | TFLite |", "|---" * 8 + "|"]
    for case in found["files"].values():
        onnx, tflite = case["onnx"], case["tflite"]
        cells = [f"`{case['file']}`", str(case["opset"])]
        if "refused" in onnx:
            cells += ["", "", "", "", onnx["refused"][0][0]]
        else:
            float_, int8 = (onnx["stages"][name] for name in ("float", "int8"))
            name = "accuracy" if "accuracy" in float_ else "mae"
            show = "{:.1%}" if name == "accuracy" else "{:.4f}"
            cells += [show_bytes(float_["bytes"]), show_bytes(int8["bytes"])]
            cells += ["accuracy" if name == "accuracy" else "mean error against the file as it came"]
            cells += [show.format(float_[name]), show.format(int8[name])]
        if "refused" in tflite:
            said = tflite["refused"][0][0]
            cells.append(
                "" if "refused" in onnx else "refused: " + re.sub(r"node `[^`]*` ", "", said).partition(":")[0]
            )
        else:
            cells.append(show.format(tflite["stages"]["tflite"][name]))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", _stamp(found)]) + "\n"


def over_ssh() -> str:
    """What the connection does to the times."""
    found = results.read("ssh")
    lines = ["| model | over ssh / local | 95% interval |", "|---|---|---|"]
    for name, row in found["models"].items():
        lines.append(f"| {name} | {row['ratio']:.3f} | {row['low']:.3f}–{row['high']:.3f} |")
    return "\n".join([*lines, "", f"{found['pairs']} pairs of processes. {_stamp(found)}"]) + "\n"


def emulate() -> str:
    """What the files of `mobilenet` answer on other processors, and how a budget of one point judges them."""
    found = results.read("emulate")
    head = ["file", "runtime", "processor", "accuracy", "answers as here", "drop, 95% interval"]
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
        "A file whose input is cast through uint16 by hand, where x86 wraps negatives and Arm makes them 0: "
        f"{before['value']:.1%} here, exit {before['exit']}; with `emulate: cortex-a72` {after['value']:.1%}, "
        f"exit {after['exit']}.",
    ]
    words = f"Drops against the float file here, {found['reference']:.1%}; emulated with {emulator}. {_stamp(found)}"
    return "\n".join([*lines, "", words]) + "\n"


TITLES = {
    "digits": "digits, 100 labels, tiny ResNet; the teacher saw 1,078",
    "unlabelled": "Fashion-MNIST, 300 labels, tiny ResNet; the shipped teacher saw 55,000",
    "averages": "two ResNets from independent starts, 7,000 images",
    "shallow": "two networks of two convolutions from independent starts, the watch's exercises",
    "controls": "2,000 images, tiny ResNet; the teacher saw no more",
    "soups": "three fine-tunes of one tiny ResNet, 7,000 images",
}
NAMES = {
    "ce": "labels alone",
    "smoothing": "labels alone, smoothed",
    "longer": "labels alone, as long as all together",
    "kd": "`distill.kd`",
    "kd_t2": "`distill.kd`, T = 2, weights 0.3 and 0.7",
    "kd_unlabelled": "`distill.kd`, the other images without labels too",
    "standardized": "`distill.kd`, `standardize: true`",
    "naive": "mean of the weights",
    "naive_bn": "mean of the weights, batch norm anew",
    "rebasin": "re-basin, mean",
    "rebasin_bn": "re-basin, mean, batch norm anew",
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
"""What the gains of a part are counted from."""


def distill() -> str:
    """Every way, what it reaches on the test images, and its gain over the plainest."""
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
    return "\n".join([*lines, "", _stamp(found)]) + "\n"


CASES = {
    "clean": "2,000 images",
    "noisy": "2,000 images, 20% of the labels wrong",
    "imbalanced": "2,000 images thinned out to 50:1",
    "sensor": "exercises of the watch, uneven as they are, macro-F1",
    "shipped": "`mobilenet`: 7,000 images, teachers of 55,000",
}
ROUTES = ("plain", "soup", "distill", "both", "teacher", "fuse")
PAIRS = ("both - plain", "both - distill", "fuse - teacher")


def compare() -> str:
    """What each route reaches as int8, what fusing and distilling gain, and what the verdict picks."""
    found = results.read("compare")
    heads = ["int8, test", *(f"`{name}`" for name in ROUTES), *(f"`{pair}`" for pair in PAIRS), "verdict"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    rows = [(title, found["cases"][case]) for case, title in CASES.items() if case in found["cases"]]
    wider = [(f"the same, on all {row['whole']['images']:,} test images", row) for _, row in rows if "whole" in row]
    for title, row in [*rows, *((title, row | row["whole"]) for title, row in wider)]:
        cells = [f"{100 * fmean(row['scores'][name]['int8']):.1f}" if name in row["scores"] else "" for name in ROUTES]
        gains = [row["differences"][pair]["int8"] for pair in PAIRS]
        cells += [f"{each['mean']:+.1f} [{each['low']:+.1f}, {each['high']:+.1f}]" for each in gains]
        (pick,) = re.findall(r"^Verdict: (\w+)", row["text"], re.MULTILINE)
        lines.append("| " + " | ".join([f"{title}; {row['seeds']} seeds", *cells, f"`{pick}`"]) + " |")
    words = (
        "Means over seeds; differences in points with 95% intervals over seeds and test examples. Each case is a run "
        "of its own, with its date in `tests/bench/compare.json`; the last one:"
    )
    return "\n".join([*lines, "", f"{words} {_stamp(found)}"]) + "\n"


def train() -> str:
    """The training loop beside a plain one."""
    found = results.read("train")
    heads = list(next(iter(found["rows"].values())))
    titles = {"as they are": "images as they are", "mirrored and moved": "mirrored and moved", "distilled": "distilled"}
    lines = ["| network | " + " | ".join(titles[name] for name in heads) + " | images a second |"]
    lines.append("|---" * (len(heads) + 2) + "|")
    for name, row in found["rows"].items():
        cells = [f"{row[head]['ratio']:.2f} [{row[head]['low']:.2f}, {row[head]['high']:.2f}]" for head in heads]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {row['as they are']['images_a_second']:.0f} |")
    words = f"Epochs here over those of a plain loop, or distilled over on labels; {found['pairs']} pairs."
    return "\n".join([*lines, "", f"{words} {_stamp(found)}"]) + "\n"


def coverage() -> str:
    """How many modules come how far, what stops the others, and every module in a list that is closed at first."""
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
        f"| int8 TFLite within {STEPS} steps of int8 ONNX on {WITHIN:.0%} of the answers | **{integers} of {whole}** |"
    )
    between = sum(row.get("int8", {}).get("between", 0) >= WITHIN for row in steps.values())
    lines.append(f"| the two ways of onnxruntime within as much of each other | {between} of {whole} |")
    apart = [each for row in steps.values() for each in row.get("int8", {}).get("apart", {}).values()]
    total = sum(row.get("int8", {}).get("integers", 0) for row in steps.values())
    same = 1 - sum(each["share"] * each["of"] for each in apart) / total
    lines.append(f"| int8 operators by themselves, on the graph's own integers: the same integers | {same:.5%} |")
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
        "<details><summary>Every module</summary>",
        "",
        "| network | pixels | float, off by | int8 within | |",
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
    return "\n".join([*lines, "", _stamp(found)]) + "\n"


QUANTIZERS = ["onnxruntime", "NNCF", "litert-torch"]


def quant() -> str:
    """What int8 costs and saves on each float model, by quantizer; ours last."""
    found = results.read("quant")
    methods = [each for name in QUANTIZERS for each in (name, f"{name}, best")]
    heads = ["points lost, or images that differ · time · size", "float", *methods, "**edgepress**", "**its TFLite**"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    drops, tells, hard = [], [], ""
    for name, model in found["models"].items():
        rows = {row["method"]: row for row in model["rows"]}
        host = next(each for each in rows if each.startswith("edgepress"))
        tells.append(rows["edgepress tflite"]["as_onnx"]["edgepress xnnpack"])
        right = f"{rows['float']['accuracy']:.1%}" if model["labelled"] else ""
        cells = [f"{right} {rows['float']['ms']:.2f} ms".strip()]
        cells += [_int8(rows[each], model) if each in rows else "" for each in [*methods, host, "edgepress tflite"]]
        lines.append(f"| {model['title']} | " + " | ".join(cells) + " |")
        if model["labelled"]:
            drops.append(rows[host]["drop"])
        if name == "hard":
            won = min(1, 1 - rows[host]["drop"] / rows["onnxruntime"]["drop"])
            hard = f"Of what onnxruntime's default loses on scaled channels {won:.0%} is won back. "
    versions = ", ".join(f"{name} {found['peers'][name]}" for name in ("nncf", "litert-torch", "ai-edge-quantizer"))
    if "normalize" not in found["models"]["efficientnet"]:
        versions += (
            ". **The pixels of EfficientNet-Lite0 were normalised by ImageNet's moments, which it was not trained on: "
            "the times and sizes of its row hold, its counts are to be taken anew**"
        )
    words = (
        f"edgepress: {fmean(drops):+.2f} points lost on average. {hard}Its TFLite tells what its ONNX tells on "
        f"{min(tells):.1%} of the test images or more.\n\n"
        "Points of the test images lost against float, and half of their 95% interval; without labels, on how many "
        "images the class is another than float's, which is no accuracy; time over float's in the same runtime, one "
        f"thread; size over float's. Best: of the settings in `tests/bench/quant.py`, by validation. {versions}."
    )
    return "\n".join([*lines, "", f"{words} {_stamp(found)}"]) + "\n"


def _int8(row: dict[str, Any], model: dict[str, Any]) -> str:
    if "refused" in row:
        return "does not run"
    half = (row["interval"][1] - row["interval"][0]) / 2
    lost = [f"{row['drop']:+.2f} ±{half:.2f}"] if model["peers"] else []
    if lost and not model["labelled"]:
        lost = [f"{round((1 - row['agreement']) * model['images'])} of {model['images']} differ"]
    return " · ".join([*lost, f"{row['ratio']:.2f}x", f"{row['bytes'] / row['bytes_of_float']:.2f}x"])


def precision() -> str:
    """Size, time and answers of every precision, a row each, a column for each runtime."""
    found = results.read("precision")
    runtimes = ("onnxruntime", "litert", "tflite-runtime")
    rows: dict[str, dict[str, Any]] = {}
    for row in found["rows"]:
        rows.setdefault(row["precision"], {})[row["runtime"]] = row
    heads = ["time, of float", "size", *runtimes, "same class"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, each in rows.items():
        cells = [_ratio(each[runtime]) if runtime in each else "" for runtime in runtimes]
        size = min(row["size_ratio"] for row in each.values())
        agrees = min(row["agreement"] for row in each.values())
        lines.append("| " + " | ".join([f"`{name}`", f"{size:.2f}x", *cells, f"{agrees:.1%}"]) + " |")
    words = (
        f"Size and time of {found['network'].replace('@', ', ')} px over the float file of the same runtime, "
        f"one thread, 95% intervals over {found['processes']} processes; same class: as float's, of {found['asked']} "
        f"photographs by {found['answers_of']}, the least of the runtimes"
        + (f", asked {found['answers_date']}." if "answers_date" in found else ".")
    )
    return "\n".join([*lines, "", f"{words} {_stamp(found)}"]) + "\n"


def _ratio(row: dict[str, Any]) -> str:
    low, high = row["interval"]
    return f"{row['time_ratio']:.2f}x" + (f" [{low:.2f}, {high:.2f}]" if low < high else "")


BLOCKS = {
    "coverage": coverage,
    "precision": precision,
    "quant": quant,
    "compare": compare,
    "distill": distill,
    "train": train,
    "emulate": emulate,
    "foreign": foreign,
    "ssh": over_ssh,
    "run": run,
    "mistake": mistake,
    "baselines": baselines,
    "slower": slower,
    "efficientnet": efficientnet,
    "calibration": calibration,
    "gate": falsely,
    "estimates": estimates,
}


def rendered(readme: str) -> str:
    """`readme` with every generated block made anew."""
    for name, make in BLOCKS.items():
        pattern = rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)"
        readme, count = re.subn(pattern, lambda found, make=make: found[1] + make() + found[2], readme, flags=re.DOTALL)
        assert count == 1, name
    return readme


def _code(words: str) -> str:
    return f"```text\n{words}```\n"


def _stamp(found: dict[str, Any]) -> str:
    machine = found["machine"]
    cpu = " with ".join(
        [machine["cpu"], *([", ".join(machine["instructions"])] if machine.get("instructions") else [])]
    )
    return f"<sub>`{found['command']}`, {cpu}, {machine['cores']} cores, {found['date']}</sub>"


if __name__ == "__main__":
    README.write_text(rendered(README.read_text(encoding="utf-8")), encoding="utf-8")
