"""Add TFLite's own metadata to a file, by which the task libraries of phones feed it and name its classes.

It stands beside the metadata of edgepress: the buffer `TFLITE_METADATA`, whose schema is
https://github.com/google-ai-edge/mediapipe/blob/master/mediapipe/tasks/metadata/metadata_schema.fbs, and the names of
the classes, a .zip behind the file. Runtimes read neither.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from .builder import packed
from .flat_tables import Byte, Table
from .flat_tables import packed as tables

NAME, IDENTIFIER = "TFLITE_METADATA", b"M001"
LABELS, CALIBRATION, VOCABULARY = "labels.txt", "sigmoid.txt", "vocabulary.txt"
CLASSES = ("single-label", "multi-label", "segmentation")
"""Tasks whose labels name classes."""
FEATURE, IMAGE = Byte(1), Byte(2)
COLORS = {"RGB": Byte(1), "grey": Byte(2)}
NORMALIZATION, SCORE_CALIBRATION, SCORE_THRESHOLDING, REGEX_TOKENIZER = Byte(1), Byte(2), Byte(3), Byte(6)
AXIS_LABELS, AXIS_CALIBRATION, WORDS = Byte(2), Byte(4), Byte(5)
SEGMENTER, SEGMENTER_IDENTIFIER, SOFTMAX = "SEGMENTER_METADATA", b"V001", Byte(2)
BETWEEN_WORDS = "[^A-Za-z0-9]+"
PADDING, UNKNOWN = "<PAD>", "<UNKNOWN>"
"""What MediaPipe calls the first two entries of a vocabulary."""
EPOCH = (1980, 1, 1, 0, 0, 0)


def with_task_metadata(data: bytes, contract: dict[str, Any], name: str, words: Sequence[str] = ()) -> bytes:
    """Return the TFLite file with the metadata of a model called `name` that has this contract.

    `words` are those of its tokens, in the order of their ids, after padding and unknown: MediaPipe tokenizes by them,
    without making letters small.

    An image is normalized as (pixel − mean) / std of pixels from 0 to 255. Logits of multi-label become scores by a
    sigmoid for each label; those of single-label stay logits, since the schema has no softmax: `embed: [softmax]` of
    `export.onnx` puts it into the file.
    """
    model = schema.ModelT.InitFromPackedBuf(data)
    entries = [entry for entry in model.metadata or [] if entry.name not in (NAME, NAME.encode())]
    model.buffers.append(
        schema.BufferT(data=np.frombuffer(tables(_model(contract, name, words), IDENTIFIER), np.uint8))
    )
    model.metadata = [*entries, schema.MetadataT(name=NAME, buffer=len(model.buffers) - 1)]
    file = packed(model)
    files = _files(contract, words)
    return _attached(file, files) if files else file


def _has_classes(contract: dict[str, Any]) -> bool:
    return bool(contract["labels"]) and contract["task"] in CLASSES and contract["outputs"][0]["meaning"] != "raw"


def _is_calibrated(contract: dict[str, Any]) -> bool:
    """Return whether a sigmoid makes scores of the first output."""
    return contract["task"] == "multi-label" and contract["outputs"][0]["meaning"] == "logits"


def _is_text(contract: dict[str, Any], words: Sequence[str]) -> bool:
    """Return whether the only input are tokens whose words are known."""
    return bool(words) and [entry["kind"] for entry in contract["inputs"]] == ["tokens"]


def _model(contract: dict[str, Any], name: str, words: Sequence[str]) -> Table:
    outputs = [_output(contract, index) for index in range(len(contract["outputs"]))]
    inputs = [_input(entry, is_text=_is_text(contract, words)) for entry in contract["inputs"]]
    graph: dict[int, Any] = {2: inputs, 3: outputs}
    if contract["task"] == "segmentation" and contract["outputs"][0]["meaning"] == "mask_logits":
        options = tables(Table({0: SOFTMAX}), SEGMENTER_IDENTIFIER)
        graph[9] = [Table({0: SEGMENTER, 1: options})]
    return Table({0: name, 1: f"{contract['task']}, by edgepress", 3: [Table(graph)], 7: "1.0.0"})


def _input(entry: dict[str, Any], *, is_text: bool) -> Table:
    is_image = entry["kind"] == "image"
    fields: dict[int, Any] = {0: entry["name"], 3: _content(entry.get("color") if is_image else None, image=is_image)}
    if entry.get("mean"):
        mean, std = ([value / entry["scale"] for value in entry[moment]] for moment in ("mean", "std"))
        fields[4] = [_unit(NORMALIZATION, Table({0: mean, 1: std}))]
        if is_image:
            ends = [[(pixel - m) / s for m, s in zip(mean, std, strict=True)] for pixel in (255.0, 0.0)]
            fields[5] = Table({0: ends[0], 1: ends[1]})
    elif is_image and entry["dtype"] == "float32":
        fields[4] = [_unit(NORMALIZATION, Table({0: [0.0], 1: [1.0]}))]
    elif is_text:
        vocabulary = Table({0: VOCABULARY, 1: "words and their ids", 2: WORDS})
        fields[4] = [_unit(REGEX_TOKENIZER, Table({0: BETWEEN_WORDS, 1: [vocabulary]}))]
    return Table(fields)


def _output(contract: dict[str, Any], index: int) -> Table:
    entry = contract["outputs"][index]
    fields: dict[int, Any] = {0: entry["name"], 1: entry["meaning"], 3: _content(None, image=False)}
    if index or not _has_classes(contract):
        return Table(fields)
    files, units = [Table({0: LABELS, 1: "names of the classes", 2: AXIS_LABELS})], []
    if _is_calibrated(contract):
        files.append(Table({0: CALIBRATION, 1: "scale, slope and offset of each label", 2: AXIS_CALIBRATION}))
        units.append(_unit(SCORE_CALIBRATION, Table({1: 0.0})))
    if entry["meaning"] == "probabilities" or units:
        units.append(_unit(SCORE_THRESHOLDING, Table({0: 0.0})))
    return Table(fields | ({4: units} if units else {}) | {6: files})


def _content(color: str | None, *, image: bool) -> Table:
    properties = Table({0: COLORS[color]} if color in COLORS else {})
    return Table({0: IMAGE if image else FEATURE, 1: properties if image else Table({})})


def _unit(kind: Byte, options: Table) -> Table:
    return Table({0: kind, 1: options})


def _files(contract: dict[str, Any], words: Sequence[str]) -> dict[str, str]:
    labels, files = contract["labels"], {}
    if _has_classes(contract):
        files[LABELS] = "".join(f"{' '.join(label.split()) or '?'}\n" for label in labels)
        files |= {CALIBRATION: "1,1,0\n" * len(labels)} if _is_calibrated(contract) else {}
    if _is_text(contract, words):
        named = (PADDING, UNKNOWN, *words[2:])
        files[VOCABULARY] = "".join(f"{word} {number}\n" for number, word in enumerate(named))
    return files


def _attached(data: bytes, files: dict[str, str]) -> bytes:
    """Return the file with others packed behind it; their offsets count from its start."""
    whole = io.BytesIO()
    whole.write(data)
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content.encode(errors="replace"))
    return whole.getvalue()
