"""Use delivered files as a stranger would: with their metadata, numpy and a runtime, and nothing of the pipeline.

    python independent.py images.npz FILE…     images.npz: raw pixels `x` (n, channels, h, w) uint8, labels `y` (n,),
                                               and the names of the classes as `labels` unless they are numbers

Prints JSON: file → the share of images whose label the file names right.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Run = Callable[[Any], Any]


def onnx(path: Path) -> tuple[dict[str, Any], Run]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # What ARM's onnxruntime does by itself with signed activations; x86 computes part of such a file in float.
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    contract = json.loads(session.get_modelmeta().custom_metadata_map["edgepress"])
    output, name = contract["outputs"][0]["name"], contract["inputs"][0]["name"]
    return contract, lambda x: session.run([output], {name: x})[0]


def tflite(path: Path) -> tuple[dict[str, Any], Run]:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    content = path.read_bytes()
    model = schema.Model.GetRootAs(content)
    entries = [model.Metadata(index) for index in range(model.MetadataLength())]
    (buffer,) = (model.Buffers(entry.Buffer()) for entry in entries if entry.Name() == b"edgepress")
    contract = json.loads(buffer.DataAsNumpy().tobytes())
    runner = Interpreter(model_content=content).get_signature_runner()
    output, name = contract["outputs"][0]["name"], contract["inputs"][0]["name"]
    return contract, lambda x: runner(**{name: x})[output]


def accuracy(path: Path, pixels: Any, labels: Any, names: list[str] | None = None) -> float:
    contract, run = onnx(path) if path.suffix == ".onnx" else tflite(path)
    beside = json.loads(Path(f"{path}.json").read_text())
    assert {**contract, "source": None} == {**beside, "source": None}, "the file beside says what the file itself says"
    given = contract["inputs"][0]
    mean, std = (np.array(given[key], np.float32).reshape(-1, 1, 1) for key in ("mean", "std"))
    right = 0
    for image, label in zip(pixels, labels, strict=True):
        x = ((image * np.float32(given["scale"]) - mean) / std).astype(given["dtype"])
        x = x.transpose(1, 2, 0) if given["layout"] == "NHWC" else x
        found = contract["labels"][int(np.argmax(run(x[None])))]
        right += found == (names[label] if names else str(label))
    return right / len(labels)


if __name__ == "__main__":
    stored = np.load(sys.argv[1])
    names = stored["labels"].tolist() if "labels" in stored else None
    print(json.dumps({file: accuracy(Path(file), stored["x"], stored["y"], names) for file in sys.argv[2:]}))
