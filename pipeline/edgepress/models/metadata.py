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
OUTPUT_KINDS = {"single-label": "logits", "multi-label": "logits", "regression": "values"}


def describe(data: Dataset) -> dict[str, Any]:
    """Return the contract of a model of `data` that takes normalised floats and gives logits, or values."""
    return {
        "schema": SCHEMA,
        "task": data.task,
        "labels": list(data.labels),
        "inputs": [_describe(input) for input in data.inputs],
        "output": {"name": "output", "kind": OUTPUT_KINDS[data.task]},
    }


def _describe(input: Input) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": input.name,
        "kind": input.kind,
        "layout": LAYOUTS[input.kind],
        "shape": [1, *input.shape],
        "dtype": input.dtype,
    }
    if input.kind == "tokens":
        return entry | {"vocabulary": input.vocabulary}
    entry |= {"scale": input.scale, "mean": list(input.mean), "std": list(input.std)}
    if input.kind == "image":
        channels, *size = input.shape
        entry |= {"size": size, "channels": channels, "color": {1: "grey", 3: "RGB", 4: "RGBA"}.get(channels)}
        entry |= {"resize": input.resize}
    return entry


def to_model_inputs(contract: dict[str, Any], data: Dataset, x: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return raw rows of `data` as a file with this contract takes them, in ONNX's layouts, one array an input."""
    return tuple(
        # Without `mean` the file normalises them itself.
        _typed(raw if entry.get("mean") == [] else input_of(entry, input).to_model_inputs(raw), entry)
        for entry, input, raw in zip(contract["inputs"], data.inputs, data.columns(x), strict=True)
    )


def moved(contract: dict[str, Any], data: Dataset) -> dict[str, Any]:
    """Return the contract of the same file, fed with inputs that are normalized as those of `data` are."""
    inputs = [
        entry | {"scale": input.scale, "mean": list(input.mean), "std": list(input.std)} if entry.get("mean") else entry
        for entry, input in zip(contract["inputs"], data.inputs, strict=True)
    ]
    return contract | {"inputs": inputs}


def _typed(values: np.ndarray, entry: dict[str, Any]) -> np.ndarray:
    """Cast values to the input's type; those of an int8 input are quantized."""
    if entry["dtype"] != "int8":
        return values.astype(entry["dtype"], copy=False)
    import numpy as np

    scale, zero = entry["quantization"]["scale"], entry["quantization"]["zero_point"]
    quantized: np.ndarray = np.clip(np.rint(values / np.float32(scale)) + zero, -128, 127).astype(np.int8)
    return quantized


def to_logits(outputs: np.ndarray, contract: dict[str, Any], data: Dataset) -> np.ndarray:
    """Return a file's outputs as logits, whether it ends in a softmax, a sigmoid or neither; int8 has exact zeros."""
    import numpy as np

    if quantization := contract["output"].get("quantization"):
        outputs = ((outputs - quantization["zero_point"]) * quantization["scale"]).astype(np.float32)
    if contract["output"]["kind"] != "probabilities":
        return outputs

    safe = np.clip(outputs.astype(np.float64), 1e-9, 1 - 1e-9)
    logits: np.ndarray = np.log(safe) if data.task == "single-label" else np.log(safe) - np.log(1 - safe)
    return logits.astype(np.float32)


def photo(entry: dict[str, Any], path: Path) -> np.ndarray:
    """Read an image file as the input `entry` of a contract takes it, (channels, height, width)."""
    from ..data import images
    from ..data.dataset import Input

    raw = images.pixels(
        path, grey=entry["color"] == "grey", size=tuple(entry["size"]), resize=entry["resize"] or "crop"
    )
    if entry["dtype"] == "uint8":
        return raw
    mean, std = (tuple(entry[name]) or (still,) for name, still in (("mean", 0.0), ("std", 1.0)))
    pixels: np.ndarray = Input(entry["name"], "image", raw.shape, entry["scale"], mean, std).to_model_inputs(raw[None])[
        0
    ]
    return pixels


def embed(model: onnx.ModelProto, contract: dict[str, Any]) -> None:
    """Put the contract into an ONNX model, in place of one that it has."""
    rest = [p for p in model.metadata_props if p.key != METADATA_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(rest)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(contract, sort_keys=True)


def read_onnx(model: onnx.ModelProto) -> dict[str, Any]:
    """Return the contract of an ONNX model that `embed` has seen."""
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            contract: dict[str, Any] = json.loads(entry.value)
            return contract
    raise KeyError(METADATA_KEY)


def beside(path: Path) -> dict[str, Any] | None:
    """Return the contract in the `.json` beside a safetensors file of a run, if it is of these very weights."""
    file = path.with_name(f"{path.name}.json")
    if not file.is_file():
        return None
    contract = own({METADATA_KEY: file.read_text(encoding="utf-8", errors="replace")})
    return contract if contract and contract.get("sha256") == digest(path) else None


def own(properties: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the contract in the metadata of a file that this pipeline wrote; None for any other file."""
    try:
        contract = json.loads(properties.get(METADATA_KEY, "null"))
        if isinstance(contract, dict) and contract.get("schema") == 1:
            contract = _of_schema_1(contract)
        sound = isinstance(contract, dict) and all(_sound(entry) for entry in contract["inputs"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return contract if sound and isinstance(contract.get("labels"), list) else None


def _of_schema_1(contract: dict[str, Any]) -> dict[str, Any]:
    """Bring the contract of an older version, which had one input of images, and classes, to this schema."""
    entry = contract["input"]
    shape = [1, entry["channels"], *entry["size"]]
    return contract | {"task": "single-label", "inputs": [entry | {"kind": "image", "shape": shape}]}


def _sound(entry: dict[str, Any]) -> bool:
    """Return whether an input's entry has all that `input_of` takes from it."""
    if entry["kind"] == "tokens" or entry["mean"] == []:
        return True
    mean, std = entry["mean"], entry["std"]
    return len(mean) == len(std) and all(map(math.isfinite, mean)) and min(*std, entry["scale"]) > 0


def for_tflite(contract: dict[str, Any], moved: Collection[str]) -> dict[str, Any]:
    """Return the contract of the TFLite file of an ONNX file; `moved` names the inputs whose channels come last."""
    return contract | {
        "inputs": [_narrow(_last(entry) if entry["name"] in moved else entry) for entry in contract["inputs"]]
    }


def _last(entry: dict[str, Any]) -> dict[str, Any]:
    batch, channels, *rest = entry["shape"]
    return entry | {"layout": CHANNELS_LAST[entry["layout"]], "shape": [batch, *rest, channels]}


def _narrow(entry: dict[str, Any]) -> dict[str, Any]:
    """Make ids 32 bits wide, as TFLite's operators take them."""
    return entry | {"dtype": "int32"} if entry["dtype"] == "int64" else entry


def read(path: Path) -> dict[str, Any]:
    """Return the contract of an `.onnx` or `.tflite` file that the pipeline made."""
    if path.suffix == ".onnx":
        import onnx

        return read_onnx(onnx.load(path))
    from .tflite.convert import read_metadata

    return read_metadata(path.read_bytes())
