"""What each precision costs and brings: size, time and answers against float, in every runtime that has it.

Times are of MobileNetV2 at 224 with random weights, paired with the float file of the same runtime in the same
processes, on one thread. Answers are those of EfficientNet-Lite0 with its published weights, on photographs: the power
of the logits over that of the error, and how often the class is float's. `make bench-precision` writes precision.json
in ten minutes; with `ARGS=answers` only the answers, and the times stay as they are there.
"""

from __future__ import annotations

import datetime
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from edgepress.benchmark import paired, statistics
from edgepress.core.presets import INT16
from edgepress.core.results import Runtime
from edgepress.data.dataset import Dataset
from edgepress.engine import references
from edgepress.gate import published
from edgepress.models import metadata
from edgepress.models.onnx import export, packed_weights
from edgepress.models.predict import predict
from edgepress.models.tflite import convert
from edgepress.stages.load import packaged
from edgepress.stages.quantize import uint8
from edgepress.stages.quantize.ptq import quantize_dynamic, signed

from tests.bench import results
from tests.bench.efficientnet import PACKAGE, photos

NETWORK = "timm/mobilenetv2_100@224"
VARIANTS, CALIBRATED, ASKED = 60, 32, 40
"""JPEGs of each photograph; those that ranges are taken from; those that tell how near the answers are."""
PROCESSES, ROUNDS = 4, 30
HALF = 0.02
"""As `quantize.weights` has it by default."""
RUNTIMES: dict[str, tuple[Runtime, ...]] = {".onnx": ("onnxruntime",), ".tflite": ("litert", "tflite-runtime")}


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        _, examples = photos(Path(work), VARIANTS)
        columns = (examples.input.to_model_inputs(examples["validation"].x[:CALIBRATED]),)
        earlier = results.read("precision") if sys.argv[1:] == ["answers"] else None
        timed, answered = Path(work, "timed"), Path(work, "answered")
        found = earlier["rows"] if earlier else times(written(untrained(examples, timed), columns, timed))
        answered.mkdir()
        module, _ = packaged(PACKAGE, examples)
        export.export(module, examples, answered / "source.onnx")
        asked = (examples.input.to_model_inputs(examples["test"].x[:ASKED]),)
        near = answers(written(answered / "source.onnx", columns, answered), asked)
    rows = [row | near[row["precision"], row["runtime"]] for row in found]
    for row in rows:
        print(row)
    stamp = {"network": NETWORK, "answers_of": PACKAGE, "asked": len(asked[0]), "processes": PROCESSES, "rows": rows}
    if earlier:  # its stamp is that of the times
        stamp = earlier | stamp | {"answers_date": datetime.date.today().isoformat()}
    print(results.write("precision", "make bench-precision", stamp, ("tflite-runtime", PACKAGE)))


def untrained(examples: Dataset, folder: Path) -> Path:
    """The float ONNX file of `NETWORK` with random weights and the contract of `examples`."""
    source = references.build(published.ReferenceModel(NETWORK, "fp32", "onnxruntime"), folder)
    described = onnx.load(source)
    metadata.embed(described, metadata.describe(examples))
    onnx.save(described, source)
    return source


def written(source: Path, columns: tuple[np.ndarray, ...], folder: Path) -> list[Path]:
    """The float ONNX file `source` in every precision, each file called by it; ranges are from `columns`."""
    model = onnx.load(source)
    quantize_dynamic(source, folder / "made.onnx", per_channel=True)
    s8s8 = signed(source, columns)
    graphs = {
        "float32": model,
        "float16": packed_weights.float16(model),
        "weights": packed_weights.weights_only(model, half=HALF),
        "weights, all int8": packed_weights.weights_only(model),
        "dynamic": onnx.load(folder / "made.onnx"),
        "int16": signed(source, columns, preset=INT16),
        "s8s8": s8s8,
    }
    contract = metadata.read_onnx(model)
    narrow = metadata.for_tflite(contract, [model.graph.input[0].name])
    paths = []
    for name, graph in graphs.items():
        paths.append(folder / f"{name}.tflite")
        paths[-1].write_bytes(convert.write(graph, narrow))
    paths.append(folder / "dynamic, convolutions too.tflite")
    paths[-1].write_bytes(convert.write(graphs["weights"], narrow, dynamic=True))
    graphs |= {"float16, computed in float16": packed_weights.whole_float16(model), "u8s8": uint8(s8s8)}
    for name, graph in graphs.items():
        metadata.embed(graph, contract)
        paths.append(folder / f"{name}.onnx")
        export.write(graph, paths[-1])
    return paths


def times(files: list[Path]) -> list[dict[str, Any]]:
    """Size and time of each file in each runtime, over those of the runtime's float file."""
    models = [paired.Model(str(file), file, runtime) for file in files for runtime in RUNTIMES[file.suffix]]
    samples = {
        (Path(each.path).stem, each.runtime): each
        for each in paired.measure(
            models, looks=(PROCESSES,), rounds=ROUNDS, say=lambda *said: print(*said, flush=True)
        )
    }
    rows = []
    for model in models:
        mine, theirs = (samples[name, model.runtime] for name in (model.file.stem, "float32"))
        ratio, interval = statistics.spread(statistics.log_ratios(mine, theirs))
        size = model.file.stat().st_size
        rows.append(
            {
                "precision": model.file.stem,
                "runtime": model.runtime,
                "bytes": size,
                "size_ratio": size / model.file.with_stem("float32").stat().st_size,
                "time_ratio": ratio,
                "interval": interval,
                "milliseconds": 1e3 * float(np.median(np.concatenate(mine.cpu))),
            }
        )
    return rows


def answers(files: list[Path], asked: tuple[np.ndarray, ...]) -> dict[tuple[str, str], dict[str, Any]]:
    """How near each file's answers in each runtime are to those of float in onnxruntime."""
    expected = predict(next(file for file in files if file.name == "float32.onnx"), asked)
    found = {}
    for file in files:
        for runtime in RUNTIMES[file.suffix]:
            told = predict(file, asked, runtime)
            error = float(((told - expected) ** 2).mean())
            found[file.stem, runtime] = {
                "sqnr_db": 10 * float(np.log10((expected**2).mean() / error)) if error else None,
                "agreement": float((told.argmax(1) == expected.argmax(1)).mean()),
            }
    return found


if __name__ == "__main__":
    main()
