"""TFLite's own metadata: what it says, read with the places of its schema, and that the file computes as before."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgepress.core.runtimes import RUNTIMES
from edgepress.data.dataset import Input
from edgepress.models import metadata
from edgepress.models.predict import predict
from edgepress.models.tflite.convert import read_metadata, write
from edgepress.models.tflite.task_metadata import IDENTIFIER, NAME, with_task_metadata
from flatbuffers import encode, number_types
from flatbuffers.table import Table

from tests import graphs

PIXELS = Input("input", "image", (1, 8, 8), 1 / 255, (0.25,), (0.5,))
LABELS = [f"class {number}" for number in range(10)]


def contract(**more: Any) -> dict[str, Any]:
    entry = metadata._last(metadata._describe(PIXELS) | {"name": "x"})
    outputs = [metadata.output("y", [1, 10], "logits")]
    described = {"schema": 3, "task": "single-label", "labels": LABELS, "inputs": [entry], "outputs": outputs}
    return described | more


def file(**more: Any) -> tuple[bytes, dict[str, Any]]:
    described = contract(**more)
    return write(graphs.small(), described), described


class Read:
    """A table of a buffer, whose fields are read by their place in the schema."""

    def __init__(self, data: bytes, at: int | None = None) -> None:
        root = encode.Get(number_types.UOffsetTFlags.packer_type, data, 0)
        self.data, self.table = data, Table(data, root if at is None else at)

    def _at(self, place: int) -> int:
        return self.table.Offset(4 + 2 * place)

    def text(self, place: int) -> str:
        at = self._at(place)
        return self.table.String(at + self.table.Pos).decode() if at else ""

    def byte(self, place: int) -> int:
        at = self._at(place)
        return self.table.Get(number_types.Int8Flags, at + self.table.Pos) if at else 0

    def floats(self, place: int) -> list[float]:
        at = self._at(place)
        return [] if not at else self.table.GetVectorAsNumpy(number_types.Float32Flags, at).tolist()

    def bytes(self, place: int) -> bytes:
        at = self._at(place)
        return self.table.GetVectorAsNumpy(number_types.Uint8Flags, at).tobytes() if at else b""

    def child(self, place: int) -> Read:
        at = self._at(place)
        return Read(self.data, self.table.Indirect(at + self.table.Pos))

    def children(self, place: int) -> list[Read]:
        at = self._at(place)
        if not at:
            return []
        start = self.table.Vector(at)
        return [Read(self.data, self.table.Indirect(start + 4 * index)) for index in range(self.table.VectorLen(at))]


def standard(data: bytes) -> Read:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(data)
    entries = [model.Metadata(index) for index in range(model.MetadataLength())]
    (buffer,) = (model.Buffers(entry.Buffer()) for entry in entries if entry.Name() == NAME.encode())
    content = buffer.DataAsNumpy().tobytes()
    assert content[4:8] == IDENTIFIER
    return Read(content)


def attached(data: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        return {entry.filename: archive.read(entry).decode() for entry in archive.infolist()}


def test_it_says_how_pixels_are_normalized_and_what_classes_are_called() -> None:
    data, described = file()
    found = with_task_metadata(data, described, "small")
    model = standard(found)
    assert model.text(0) == "small"
    (graph,) = model.children(3)
    (given,), (end,) = graph.children(2), graph.children(3)
    assert (given.text(0), end.text(0)) == ("x", "y")
    content = given.child(3)
    assert content.byte(0) == 2, "an image"
    assert content.child(1).byte(0) == 2, "grey"
    (unit,) = given.children(4)
    assert unit.byte(0) == 1, "normalization"
    mean, std = unit.child(1).floats(0), unit.child(1).floats(1)
    np.testing.assert_allclose([*mean, *std], [0.25 * 255, 0.5 * 255])
    (labels,) = end.children(6)
    assert (labels.text(0), labels.byte(2)) == ("labels.txt", 2)
    assert end.children(4) == [], "logits have no threshold of scores"
    assert attached(found) == {"labels.txt": "".join(f"{label}\n" for label in LABELS)}


def test_probabilities_have_a_threshold_and_several_labels_a_sigmoid() -> None:
    data, described = file(outputs=[metadata.output("y", [1, 10], "probabilities")])
    (graph,) = standard(with_task_metadata(data, described, "a")).children(3)
    assert [unit.byte(0) for unit in graph.children(3)[0].children(4)] == [3]
    data, described = file(task="multi-label")
    found = with_task_metadata(data, described, "a")
    (graph,) = standard(found).children(3)
    (end,) = graph.children(3)
    assert [unit.byte(0) for unit in end.children(4)] == [2, 3]
    assert [(each.text(0), each.byte(2)) for each in end.children(6)] == [("labels.txt", 2), ("sigmoid.txt", 4)]
    assert attached(found)["sigmoid.txt"] == "1,1,0\n" * 10


def test_pixels_that_the_file_normalizes_and_outputs_without_labels_have_nothing_to_say() -> None:
    raw = metadata._describe(PIXELS) | {"name": "x", "dtype": "uint8", "mean": [], "std": [], "scale": 1.0}
    data, _ = file()
    unlabelled = contract(labels=[], inputs=[metadata._last(raw)], outputs=[metadata.output("y", [1, 10], "raw")])
    found = with_task_metadata(data, unlabelled, "a")
    (graph,) = standard(found).children(3)
    assert graph.children(2)[0].children(4) == []
    assert graph.children(3)[0].children(6) == []
    assert not zipfile.is_zipfile(io.BytesIO(found))


def test_masks_become_shares_by_a_softmax_and_tokens_have_their_vocabulary() -> None:
    data, _ = file()
    maps = contract(task="segmentation", outputs=[metadata.output("y", [1, 10, 8, 8], "mask_logits")])
    found = with_task_metadata(data, maps, "a")
    (graph,) = standard(found).children(3)
    (custom,) = graph.children(9)
    assert custom.text(0) == "SEGMENTER_METADATA"
    options = custom.bytes(1)
    assert (options[4:8], Read(options).byte(0)) == (b"V001", 2)
    assert attached(found)["labels.txt"].splitlines() == LABELS
    tokens = metadata._describe(Input("input", "tokens", (4,), vocabulary=4)) | {"dtype": "int32"}
    described = contract(inputs=[tokens])
    found = with_task_metadata(data, described, "a", ["<padding>", "<unknown>", "of", "a"])
    (graph,) = standard(found).children(3)
    (unit,) = graph.children(2)[0].children(4)
    assert (unit.byte(0), unit.child(1).text(0)) == (6, "[^A-Za-z0-9]+")
    (vocabulary,) = unit.child(1).children(1)
    assert (vocabulary.text(0), vocabulary.byte(2)) == ("vocabulary.txt", 5)
    assert attached(found)["vocabulary.txt"] == "<PAD> 0\n<UNKNOWN> 1\nof 2\na 3\n"
    two = contract(inputs=[tokens, tokens])
    assert set(attached(with_task_metadata(data, two, "a", ["<padding>", "<unknown>"]))) == {"labels.txt"}


def test_the_same_file_gives_the_same_bytes_once_and_twice() -> None:
    data, described = file()
    found = with_task_metadata(data, described, "small")
    assert with_task_metadata(data, described, "small") == found
    assert with_task_metadata(found, described, "small").count(NAME.encode()) == 1
    assert read_metadata(found) == described, "ours is there as before"


@pytest.mark.parametrize("runtime", ["litert", "tflite-runtime"])
def test_runtimes_compute_as_before(runtime: str, tmp_path: Path) -> None:
    if absent := RUNTIMES[runtime].absent():
        pytest.skip(absent.message)
    data, described = file(labels=["a\nb", "", "\N{SNOWMAN}", "half \udcff", *LABELS[4:]])
    (tmp_path / "before.tflite").write_bytes(data)
    (tmp_path / "after.tflite").write_bytes(with_task_metadata(data, described, "\N{SNOWMAN}"))
    x = np.random.default_rng(0).normal(size=(4, 1, 8, 8)).astype(np.float32)
    before, after = (predict(tmp_path / f"{name}.tflite", x, runtime) for name in ("before", "after"))
    assert np.array_equal(before, after)
    labels = attached((tmp_path / "after.tflite").read_bytes())["labels.txt"].splitlines()
    assert labels == ["a b", "?", "\N{SNOWMAN}", "half ?", *LABELS[4:]]
