"""Define the metadata of every delivered file: inputs, outputs and labels.

The same JSON stands in an ONNX file's metadata property `edgepress`, in a TFLite file's metadata buffer `edgepress`
and in a `.json` beside the file, so that ten lines of numpy and a runtime can use it. For each of `inputs`:

    x = (raw * scale - mean) / std           # `mean` and `std` one a channel; not for dtype uint8 or integers
    label = labels[argmax(output)]           # `task` and the output's `meaning` say how it is read

An input of dtype `uint8` takes raw pixels: the file normalises them itself. An input of dtype `int8` takes
round(x / quantization.scale) + quantization.zero_point of what a float one takes, and one of `outputs` that has a
`quantization` means (output - zero_point) * scale. `outputs` has an entry for each, in the order of the file: `name`,
`shape`, `dtype` and `meaning`; one of four axes has a `layout`, NCHW in ONNX and NHWC in TFLite. Of a detector `decode`
says how boxes come of them, or `boxes` where its classes have no names; see `models.decode`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.columns import flat, joined, split
from ..core.paths import digest
from ..data.targets import KINDS
from .description import METADATA_KEY
from .input_preparation import input_of

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from ..data.dataset import Dataset, Input
    from ..data.rows import Rows

SCHEMA = 3
LAYOUTS = {"image": "NCHW", "series": "NCL", "numbers": "NC", "tokens": "NL"}
CHANNELS_LAST = {"NCHW": "NHWC", "NCL": "NLC"}
"""How TFLite orders what ONNX orders otherwise."""
MEANINGS = {task: kind.meaning for task, kind in KINDS.items()}
"""What the output of a network of a task means. A file with softmax has `probabilities`, any other output is `raw`."""
LABEL_TASKS = ("single-label", "multi-label", "regression")
"""Tasks of one output, a number for each label."""
_MAP = 4


def describe(data: Dataset, shape: Sequence[int] | None = None) -> dict[str, Any]:
    """Return the contract of a model of `data` that takes normalised floats and gives logits, or values.

    `shape` is that of one example's output, which a network of masks, heat maps, vectors or pictures decides; without
    it a number for each label.
    """
    return {
        "schema": SCHEMA,
        "task": data.task,
        "labels": list(data.labels) if data.targets.per_label else [],
        "inputs": [_describe(input) for input in data.inputs],
        "outputs": [output("output", [1, *(shape or (len(data.labels),))], MEANINGS[data.task])],
    }


def output(name: str, shape: Sequence[int], meaning: str, dtype: str = "float32") -> dict[str, Any]:
    """Return the entry of an output of an ONNX file, `shape` with the batch of 1."""
    entry = {"name": name, "shape": [*shape], "dtype": dtype, "meaning": meaning}
    return entry | {"layout": "NCHW"} if len(shape) == _MAP else entry


def with_outputs(contract: dict[str, Any], model: onnx.ModelProto) -> dict[str, Any]:
    """Return the contract with the names, shapes and types of the graph's outputs; a single one keeps its meaning."""
    import onnx

    first = contract["outputs"][0]
    decode = contract.get("decode", {})
    kinds = [kind for kind in ("scores", "objectness", "boxes") if isinstance(decode.get(kind), list)]
    heads = {name: kind for kind in kinds for name in decode[kind]}
    entries = []
    for value in model.graph.output:
        tensor = value.type.tensor_type
        sides = [axis.dim_value for axis in tensor.shape.dim]
        meaning = first["meaning"] if len(model.graph.output) == 1 else heads.get(value.name, "raw")
        kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
        entries.append(output(value.name, sides, meaning, kind))
    return contract | {"outputs": entries}


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


def to_model_inputs(contract: dict[str, Any], data: Dataset, x: Rows) -> tuple[np.ndarray, ...]:
    """Return raw rows of `data` as a file with this contract takes them, in ONNX's layouts, one array an input."""
    return tuple(
        # Without `mean` the file normalises them itself.
        _typed(raw if entry.get("mean") == [] else input_of(entry, input).to_model_inputs(raw), entry)
        for entry, input, raw in zip(contract["inputs"], data.inputs, data.columns(x[:]), strict=True)
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


def dequantized(outputs: np.ndarray, contract: dict[str, Any]) -> np.ndarray:
    """Return a file's outputs as numbers: those that are integers with a scale are multiplied out."""
    scales = {entry["name"]: entry["quantization"] for entry in contract["outputs"] if "quantization" in entry}
    if not scales:
        return outputs
    import numpy as np

    columns = split(outputs) if outputs.dtype.names else {contract["outputs"][0]["name"]: outputs}
    return joined(
        {
            name: ((column - scales[name]["zero_point"]) * scales[name]["scale"]).astype(np.float32)
            if name in scales
            else column
            for name, column in columns.items()
        }
    )


def to_logits(outputs: np.ndarray, contract: dict[str, Any], data: Dataset) -> np.ndarray:
    """Return a file's outputs as logits (n, labels) or (n, classes, …), also of one that ends in softmax or sigmoid.

    Outputs without labels keep their shape; integers are dequantized.
    """
    import numpy as np

    outputs = dequantized(outputs, contract)
    if not data.labels:
        return outputs
    if data.task == "detection":
        from . import decoder

        how, size = decoder.read(contract), (data.input.shape[1], data.input.shape[2])
        return decoder.detections(decoder.joined(outputs, how, len(data.labels)), how, size)
    if data.task in LABEL_TASKS:
        outputs = flat(outputs)
    if contract["outputs"][0]["meaning"] != "probabilities":
        return outputs

    safe = np.clip(outputs.astype(np.float64), 1e-9, 1 - 1e-9)
    logits: np.ndarray = np.log(safe) if data.targets.link == "softmax" else np.log(safe) - np.log(1 - safe)
    return logits.astype(np.float32)


def to_heads(outputs: np.ndarray, contract: dict[str, Any], data: Dataset) -> np.ndarray:
    """Return a file's outputs as a network in torch has them, (n, …): of a detector the heads side by side."""
    if data.task != "detection":
        return to_logits(outputs, contract, data)
    from . import decoder

    return decoder.joined(dequantized(outputs, contract), decoder.read(contract), len(data.labels))


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
            return upgraded(json.loads(entry.value))
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
        contract = upgraded(contract) if isinstance(contract, dict) else contract
        sound = isinstance(contract, dict) and all(_sound(entry) for entry in contract["inputs"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return contract if sound and isinstance(contract.get("labels"), list) else None


def upgraded(contract: dict[str, Any]) -> dict[str, Any]:
    """Bring a contract of an older version to this schema."""
    if contract.get("schema") == 1 and "input" in contract:
        contract = _of_schema_1(contract)
    return _of_schema_2(contract) if "output" in contract else contract


def _of_schema_1(contract: dict[str, Any]) -> dict[str, Any]:
    """Bring the contract of an older version, which had one input of images, and classes, to this schema."""
    entry = contract["input"]
    shape = [1, entry["channels"], *entry["size"]]
    return contract | {"task": "single-label", "inputs": [entry | {"kind": "image", "shape": shape}]}


def _of_schema_2(contract: dict[str, Any]) -> dict[str, Any]:
    """Upgrade the contract of a version that had one output, a number for each label; its axes were not recorded."""
    rest = {name: value for name, value in contract.items() if name != "output"}
    written = contract["output"]
    entry = {"name": written["name"], "dtype": written.get("dtype", "float32"), "meaning": written["kind"]}
    more = {name: written[name] for name in ("quantization",) if name in written}
    return rest | {"schema": SCHEMA, "outputs": [entry | more]}


def _sound(entry: dict[str, Any]) -> bool:
    """Return whether an input's entry has all that `input_of` takes from it."""
    if entry["kind"] == "tokens" or entry["mean"] == []:
        return True
    mean, std = entry["mean"], entry["std"]
    return len(mean) == len(std) and all(map(math.isfinite, mean)) and min(*std, entry["scale"]) > 0


def for_tflite(contract: dict[str, Any], moved: Collection[str]) -> dict[str, Any]:
    """Return the contract of the TFLite file of an ONNX file; `moved` names the inputs whose channels come last.

    Channels come last in every output of four axes.
    """
    return contract | {
        "inputs": [_narrow(_last(entry) if entry["name"] in moved else entry) for entry in contract["inputs"]],
        "outputs": [_narrow(_last(entry) if "layout" in entry else entry) for entry in contract["outputs"]],
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

    return upgraded(read_metadata(path.read_bytes()))
