"""Add the metadata to delivered files that viewers, runners and task libraries of others read.

The results of stages, their keys and digests stay as they are: these files are made where they leave for a run's
folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

NAMED = ("single-label", "multi-label", "segmentation", "detection")
"""Tasks whose labels are names of classes."""
_OF_YOLO = {"coding": "centre", "activation": "none"}
"""How the one output of a YOLOv8 or YOLO11 becomes boxes, which Ultralytics' runners know."""


def deliver(path: Path, contract: dict[str, Any], target: Path, name: str, words: Sequence[str] = ()) -> Path:
    """Write the model file `path` with its contract to `target`, with the metadata of others for a model `name`.

    `words` are those of a vocabulary whose ids it takes.
    """
    if path.suffix == ".tflite":
        from .tflite.task_metadata import with_task_metadata

        target.write_bytes(with_task_metadata(path.read_bytes(), contract, name, words))
        return target
    target.write_bytes(path.read_bytes() + _appended(path, keys(contract)))
    return target


def keys(contract: dict[str, Any]) -> dict[str, str]:
    """Return the keys that Ultralytics' exports have and others read: `names`, `task`, `imgsz`, `channels`, `batch`.

    Those without a meaning for this model are left out: `stride`, by which pictures are padded, has none for inputs of
    one size.
    """
    found = {"batch": "1"}
    if contract["labels"] and contract["task"] in NAMED and contract["outputs"][0]["meaning"] != "raw":
        found["names"] = repr(dict(enumerate(contract["labels"])))
        found |= _task(contract)
    images = [entry for entry in contract["inputs"] if entry["kind"] == "image"]
    if len(images) == len(contract["inputs"]) == 1:
        found |= {"imgsz": str([*images[0]["size"]]), "channels": str(images[0]["channels"])}
    return found


def _task(contract: dict[str, Any]) -> dict[str, str]:
    """Return `task` by Ultralytics' name, where their runners decode the outputs as such."""
    if contract["task"] == "single-label":
        return {"task": "classify"}
    decode = {key: value for key, value in contract.get("decode", {}).items() if key != "boxes"}
    return {"task": "detect"} if decode == _OF_YOLO and len(contract["outputs"]) == 1 else {}


def _appended(path: Path, found: dict[str, str]) -> bytes:
    """Return bytes that add metadata at the end of an ONNX file, but for keys that it has.

    Two serialized protobufs in a row are one whose repeated fields are joined.
    """
    import onnx

    there = {entry.key for entry in onnx.load(path, load_external_data=False).metadata_props}
    more = onnx.ModelProto()
    onnx.helper.set_model_props(more, {key: value for key, value in found.items() if key not in there})
    return more.SerializeToString(deterministic=True)
