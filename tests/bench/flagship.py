"""Which MobileNet does int8 pay for, of those that five minutes can train? The candidates for `recipes/mobilenet.yaml`.

Every candidate is the shipped recipe with other options, run as a whole. Accuracies are of the validation images: the
test images choose nothing. int8 over float is measured anew after the run, in pairs, on one thread of onnxruntime.
`make bench-flagship` writes flagship.json, four minutes a candidate; an interrupted run goes on, since finished stages
are cached. `ARGS="NAME …"` measures these alone and keeps the other rows.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

from edgepress.benchmark import paired, statistics
from edgepress.core.results import Report, Samples, StageFacts

from tests.bench import results

FINETUNE = "stages.small.finetune"
CANDIDATES: dict[str, dict[str, Any]] = {
    "mobilenetv1, 60% pruned": {},
    "mobilenetv1, 50% pruned": {"stages.small.ratio": "50%", f"{FINETUNE}.epochs": 14},
    "mobilenetv1, trained before it is pruned": {
        "stages.student.epochs": 6,
        "stages.small.ratio": "40%",
        "stages.small.round_to": 8,
        FINETUNE: "{epochs: 4, batch: 64, lr: 0.004, shift: 0, views: 2}",
    },
    "mobilenetv4_conv_small": {
        "stages.student.student": "timm/mobilenetv4_conv_small",
        "stages.student.epochs": 9,
        "stages.student.lr": 0.015,
        "stages.small.ratio": "20%",
        "stages.small.round_to": 8,
        FINETUNE: "{epochs: 5, batch: 64, lr: 0.005, shift: 0, views: 2}",
    },
    "mobilenet_edgetpu_v2_xs": {
        "stages.student.student": "timm/mobilenet_edgetpu_v2_xs",
        "stages.student.epochs": 5,
        "stages.student.lr": 0.006,
        "stages.small.ratio": "40%",
        "stages.small.round_to": 8,
        FINETUNE: "{epochs: 4, batch: 64, lr: 0.003, shift: 0, views: 2}",
    },
    "tf_mobilenetv3_small_minimal_100": {
        "stages.student.student": '{arch: timm/tf_mobilenetv3_small_minimal_100, args: {pad_type: ""}}',
        "stages.student.epochs": 16,
        "stages.student.lr": 0.025,
        "stages.small.ratio": "30%",
        "stages.small.round_to": 8,
        FINETUNE: "{epochs: 8, batch: 64, lr: 0.005, shift: 0, views: 2}",
    },
}
"""Name → what differs from the shipped recipe. The last is what it shipped until 2026-11."""
TARGETS = ("host", "android-pixel")
PROCESSES, ROUNDS = 8, 60
REPORT = Path("runs/mobilenet/report.json")


def main() -> None:
    wanted = sys.argv[1:] or list(CANDIDATES)
    known = results.read("flagship")["rows"] if (results.FOLDER / "flagship.json").is_file() else []
    rows = {row["candidate"]: row for row in known if row["candidate"] in CANDIDATES}
    for name in wanted:
        rows[name] = {"candidate": name, "options": CANDIDATES[name]} | measured(CANDIDATES[name])
        print(rows[name], flush=True)
        results.write("flagship", "make bench-flagship", {"rows": [rows[each] for each in CANDIDATES if each in rows]})


def measured(options: dict[str, Any]) -> dict[str, Any]:
    """Run the recipe with `options`; what it trains, what its int8 file is, and how that compares with float."""
    changes = [part for path, value in options.items() for part in ("--set", f"{path}={value}")]
    targets = [part for name in TARGETS for part in ("--target", name)]
    command = [sys.executable, "-m", "edgepress", "run", "mobilenet", *changes, *targets]
    code = subprocess.run(command, check=False).returncode
    if code not in (0, 1, 4):  # a candidate may miss a budget
        raise SystemExit(code)
    report = Report.model_validate_json(REPORT.read_text(encoding="utf-8"))
    stages = {stage.name: stage for stage in report.stages}
    integers = next(file for file in stages["int8"].files if file.precision == "x86")
    files = [paired.Model(path, Path(path)) for path in (stages["float"].files[0].path, integers.path)]
    plain, int8 = paired.measure(files, looks=(PROCESSES,), rounds=ROUNDS)
    lite = next(each for each in report.samples if each.runtime == "litert" and "int8" in each.path)
    references = [_ms(each) for each in report.references if each.runtime == "litert" and "@" in each.path]
    return {
        "validation": {name: _accuracy(stages[name]) for name in ("teacher", "student", "small", "float", "int8")},
        "training_seconds": {
            name: round(stages[name].seconds) for name in ("student", "small") if not stages[name].cached
        },
        "parameters": stages["float"].parameters,
        "macs": stages["float"].macs,
        "bytes": {"float": stages["float"].files[0].bytes, "int8": integers.bytes},
        "operators": stages["int8"].notes["speed"]["operators"],
        "int8_over_float": statistics.spread(statistics.log_ratios(int8, plain)),
        "ms": {"float": _ms(plain), "int8": _ms(int8), "int8 in litert": _ms(lite)},
        "ms_of_references_in_litert": [min(references), max(references)],
        "warnings": [f"{stage.name}: {words}" for stage in report.stages for words in stage.warnings],
    }


def _accuracy(stage: StageFacts) -> float:
    return stage.files[0].scores["validation"]["accuracy"]


def _ms(samples: Samples) -> float:
    return 1e3 * median(median(process) for process in samples.cpu)


if __name__ == "__main__":
    main()
