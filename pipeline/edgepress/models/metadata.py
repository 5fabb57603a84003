"""Define the metadata of every delivered file: inputs, outputs and labels.

The same JSON stands in an ONNX file's metadata property `edgepress`, in a TFLite file's metadata buffer `edgepress`
and in a `.json` beside the file, so that ten lines of numpy and a runtime can use it. For each of `inputs`:

    x = (raw * scale - mean) / std           # `mean` and `std` one a channel; not for dtype uint8 or integers
    label = labels[argmax(output)]           # `task` says how the output is read

An input of dtype `uint8` takes raw pixels: the file normalises them itself. An input of dtype `int8` takes
round(x / quantization.scale) + quantization.zero_point of what a float one takes, and an output that has a
`quantization` means (output - zero_point) * scale.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.paths import digest
from .description import METADATA_KEY
from .input_preparation import input_of

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from ..data.dataset import Dataset, Input

SCHEMA = 2
LAYOUTS = {"image": "NCHW", "series": "NCL", "numbers": "NC", "tokens": "NL"}
CHANNELS_LAST = {"NCHW": "NHWC", "NCL": "NLC"}
"""How TFLite orders what ONNX orders otherwise."""
TOLD = {"single-label": "logits", "multi-label": "logits", "regression": "values"}


def describe(data: Dataset) -> dict[str, Any]:
    """The contract of a model of `data` that takes normalised floats and gives logits, or values."""
    return {
        "schema": SCHEMA,
        "task": data.task,
        "labels": list(data.labels),
        "inputs": [_describe(each) for each in data.inputs],
        "output": {"name": "output", "kind": TOLD[data.task]},
    }


def _describe(given: Input) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": given.name,
        "kind": given.kind,
        "layout": LAYOUTS[given.kind],
        "shape": [1, *given.shape],
        "dtype": given.dtype,
    }
    if given.kind == "tokens":
        return found | {"vocabulary": given.vocabulary}
    found |= {"scale": given.scale, "mean": list(given.mean), "std": list(given.std)}
    if given.kind == "image":
        channels, *size = given.shape
        found |= {"size": size, "channels": channels, "color": {1: "grey", 3: "RGB", 4: "RGBA"}.get(channels)}
        found |= {"resize": given.resize}
    return found


def ready(contract: dict[str, Any], data: Dataset, x: np.ndarray) -> tuple[np.ndarray, ...]:
    """Raw rows of `data` as a file with this contract takes them, in ONNX's layouts, one array an input."""
    return tuple(
        # Without `mean` the file normalises them itself.
        _typed(raw if entry.get("mean") == [] else input_of(entry, each).to_model_inputs(raw), entry)
        for entry, each, raw in zip(contract["inputs"], data.inputs, data.columns(x), strict=True)
    )


def moved(contract: dict[str, Any], data: Dataset) -> dict[str, Any]:
    """The contract of the same file, fed with inputs that are normalized as those of `data` are."""
    inputs = [
        entry | {"scale": each.scale, "mean": list(each.mean), "std": list(each.std)} if entry.get("mean") else entry
        for entry, each in zip(contract["inputs"], data.inputs, strict=True)
    ]
    return contract | {"inputs": inputs}


def _typed(values: np.ndarray, entry: dict[str, Any]) -> np.ndarray:
    """Values as the input's type; an int8 one is quantized."""
    if entry["dtype"] != "int8":
        return values.astype(entry["dtype"], copy=False)
    import numpy as np

    scale, zero = entry["quantization"]["scale"], entry["quantization"]["zero_point"]
    found: np.ndarray = np.clip(np.rint(values / np.float32(scale)) + zero, -128, 127).astype(np.int8)
    return found


def told(answers: np.ndarray, contract: dict[str, Any], data: Dataset) -> np.ndarray:
    """A file's answers as what a softmax or sigmoid is taken of, whatever it ends in; int8 has exact zeros."""
    import numpy as np

    if told := contract["output"].get("quantization"):
        answers = ((answers - told["zero_point"]) * told["scale"]).astype(np.float32)
    if contract["output"]["kind"] != "probabilities":
        return answers

    safe = np.clip(answers.astype(np.float64), 1e-9, 1 - 1e-9)
    found: np.ndarray = np.log(safe) if data.task == "single-label" else np.log(safe) - np.log(1 - safe)
    return found.astype(np.float32)


def photo(entry: dict[str, Any], path: Path) -> np.ndarray:
    """An image file as the input `entry` of a contract takes it, (channels, height, width): read as in training."""
    from ..data import images
    from ..data.dataset import Input

    raw = images.pixels(
        path, grey=entry["color"] == "grey", size=tuple(entry["size"]), resize=entry["resize"] or "crop"
    )
    if entry["dtype"] == "uint8":
        return raw
    mean, std = (tuple(entry[name]) or (still,) for name, still in (("mean", 0.0), ("std", 1.0)))
    found: np.ndarray = Input(entry["name"], "image", raw.shape, entry["scale"], mean, std).to_model_inputs(raw[None])[
        0
    ]
    return found


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


def beside(path: Path) -> dict[str, Any] | None:
    """The contract in the `.json` beside a safetensors file that a run delivered, if it is of these very weights."""
    file = path.with_name(f"{path.name}.json")
    if not file.is_file():
        return None
    contract = own({METADATA_KEY: file.read_text(encoding="utf-8", errors="replace")})
    return contract if contract and contract.get("sha256") == digest(path) else None


def own(properties: Mapping[str, str]) -> dict[str, Any] | None:
    """The contract among the metadata of a file that this pipeline wrote; None for whatever else a file holds."""
    try:
        found = json.loads(properties.get(METADATA_KEY, "null"))
        if isinstance(found, dict) and found.get("schema") == 1:
            found = _of_schema_1(found)
        sound = isinstance(found, dict) and all(_sound(entry) for entry in found["inputs"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return found if sound and isinstance(found.get("labels"), list) else None


def _of_schema_1(found: dict[str, Any]) -> dict[str, Any]:
    """The contract of an older version, which had one input of images, and classes."""
    entry = found["input"]
    shape = [1, entry["channels"], *entry["size"]]
    return found | {"task": "single-label", "inputs": [entry | {"kind": "image", "shape": shape}]}


def _sound(entry: dict[str, Any]) -> bool:
    """Whether an input's entry has all that `input_of` takes from it."""
    if entry["kind"] == "tokens" or entry["mean"] == []:
        return True
    mean, std = entry["mean"], entry["std"]
    return len(mean) == len(std) and all(map(math.isfinite, mean)) and min(*std, entry["scale"]) > 0


def for_tflite(contract: dict[str, Any], moved: Collection[str]) -> dict[str, Any]:
    """The contract of the TFLite file made from an ONNX file; `moved` names the inputs whose channels come last."""
    return contract | {
        "inputs": [_narrow(_last(entry) if entry["name"] in moved else entry) for entry in contract["inputs"]]
    }


def _last(entry: dict[str, Any]) -> dict[str, Any]:
    batch, channels, *rest = entry["shape"]
    return entry | {"layout": CHANNELS_LAST[entry["layout"]], "shape": [batch, *rest, channels]}


def _narrow(entry: dict[str, Any]) -> dict[str, Any]:
    """TFLite's operators take ids of 32 bits."""
    return entry | {"dtype": "int32"} if entry["dtype"] == "int64" else entry


def read(path: Path) -> dict[str, Any]:
    """The contract of an `.onnx` or `.tflite` file that the pipeline made."""
    if path.suffix == ".onnx":
        import onnx

        return read_onnx(onnx.load(path))
    from .tflite.convert import read_metadata

    return read_metadata(path.read_bytes())
