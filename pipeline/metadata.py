"""The one contract for every file that leaves the pipeline: what goes in, what comes out, what the classes are called.

The same JSON stands in an ONNX file's metadata property `edgepress`, in a TFLite file's metadata buffer `edgepress`
and in a `.json` beside the file, so that ten lines of numpy and a runtime can use it:

    x = (pixels * scale - mean) / std        # pixels as stored, `input.size`, `input.layout`
    label = labels[argmax(output)]
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .zoo import METADATA_KEY

if TYPE_CHECKING:
    import onnx

    from .data import Dataset

SCHEMA = 1


def describe(data: Dataset) -> dict[str, Any]:
    """The contract for a classifier of `data` that takes normalised floats and gives logits."""
    channels, height, width = data.shape
    return {
        "schema": SCHEMA,
        "task": "classification",
        "labels": list(data.labels),
        "input": {
            "name": "input",
            "layout": "NCHW",
            "size": [height, width],
            "channels": channels,
            "color": {1: "grey", 3: "RGB", 4: "RGBA"}.get(channels),
            "dtype": "float32",
            "scale": 1 / 255,
            "mean": list(data.mean),
            "std": list(data.std),
            "resize": None,
            "crop": None,
        },
        "output": {"name": "output", "kind": "logits"},
    }


def embed(model: onnx.ModelProto, contract: dict[str, Any]) -> None:
    """Put the contract into an ONNX model, in place of one that it has."""
    kept = [p for p in model.metadata_props if p.key != METADATA_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(contract, sort_keys=True)


def read_onnx(model: onnx.ModelProto) -> dict[str, Any]:
    """The contract of an ONNX model that `embed` has seen."""
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            contract: dict[str, Any] = json.loads(entry.value)
            return contract
    raise KeyError(METADATA_KEY)


def for_tflite(contract: dict[str, Any]) -> dict[str, Any]:
    """The contract of the TFLite file made from an ONNX file: TFLite keeps the channels last."""
    return contract | {"input": contract["input"] | {"layout": "NHWC"}}


def read(path: Path) -> dict[str, Any]:
    """The contract of a delivered `.onnx` or `.tflite` file."""
    if path.suffix == ".onnx":
        import onnx

        return read_onnx(onnx.load(path))
    from .tflite import read_metadata

    return read_metadata(path.read_bytes())
