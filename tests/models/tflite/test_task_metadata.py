"""TFLite's own metadata: what it says, read with the places of its schema, and that the file computes as before."""

from __future__ import annotations

import io
import json
import os
import subprocess
import venv
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from edgepress.core.runtimes import RUNTIMES
from edgepress.data.dataset import Input
from edgepress.models import metadata
from edgepress.models.predict import predict
from edgepress.models.tflite.convert import read_metadata, write
from edgepress.models.tflite.task_metadata import IDENTIFIER, NAME, with_task_metadata
from flatbuffers import encode, number_types
from flatbuffers.table import Table
from onnx import TensorProto, helper, numpy_helper

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


MEDIAPIPE = """\
import json, sys
import numpy as np
import mediapipe as mp
from mediapipe.tasks import python
from mediapipe.tasks.python import vision

options = vision.ImageClassifierOptions(python.BaseOptions(model_asset_path=sys.argv[1]), max_results=3)
with vision.ImageClassifier.create_from_options(options) as classifier:
    for pixels in np.load(sys.argv[2]):
        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(pixels))
        found = classifier.classify(image).classifications[0].categories
        print(json.dumps([[one.category_name, one.score] for one in found]))
"""


@pytest.fixture(scope="module")
def mediapipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment of MediaPipe's own: it wants another OpenCV. EDGEPRESS_MEDIAPIPE names one."""
    if named := os.environ.get("EDGEPRESS_MEDIAPIPE"):
        return Path(named)
    folder = tmp_path_factory.mktemp("mediapipe")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", "mediapipe"]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mediapipe cannot be installed here: {(done.stderr.splitlines() or ['?'])[-1]}")
    return python


@pytest.mark.slow
@pytest.mark.parametrize("form", ["float", "uint8"])
def test_mediapipe_names_the_class_with_the_score_of_our_own(form: str, mediapipe: Path, tmp_path: Path) -> None:
    """Its image classifier opens the file; label and score are those of our runner, within 1/256."""
    picture = Input("input", "image", (3, 8, 8), 1 / 255, (0.5,) * 3, (0.25,) * 3)
    entry = metadata._describe(picture) | {"name": "x"}
    raw = entry | {"dtype": "uint8", "mean": [], "std": [], "scale": 1.0}
    described = contract(
        inputs=[metadata._last(raw if form == "uint8" else entry)],
        outputs=[metadata.output("y", [1, 10], "probabilities")],
    )
    model = classifier(raw=form == "uint8", mean=0.5, std=0.25)
    path = tmp_path / "model.tflite"
    path.write_bytes(with_task_metadata(write(model, described), described, "small"))
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
    fed = np.moveaxis(pixels, -1, 1)
    ours = predict(path, fed if form == "uint8" else picture.to_model_inputs(fed))
    np.save(tmp_path / "pixels.npy", pixels)
    (tmp_path / "classify.py").write_text(MEDIAPIPE)
    command = [mediapipe, tmp_path / "classify.py", path, tmp_path / "pixels.npy"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(ours)
    for row, categories in zip(ours, found, strict=True):
        best = np.argsort(-row)[:3]
        assert categories[0][0] == LABELS[best[0]]
        np.testing.assert_allclose([score for _, score in categories], row[best], atol=1 / 256)
    assert len({categories[0][0] for categories in found}) > 1, "the pictures are told apart"


def classifier(*, raw: bool, mean: float, std: float) -> onnx.ModelProto:
    """A layer and a softmax of `x` (1, 3, 8, 8): normalized floats, or pixels that the graph normalizes."""
    random = np.random.default_rng(3)
    tensors = {
        "w": random.normal(0, 0.3, (192, 10)).astype(np.float32),
        "slope": np.float32([1 / 255 / std]),
        "shift": np.float32([-mean / std]),
    }
    nodes = [
        helper.make_node("Cast", ["x"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], ["normal"]),
    ] * raw
    nodes += [
        helper.make_node("Flatten", ["normal" if raw else "x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["z"]),
        helper.make_node("Softmax", ["z"], ["y"], axis=1),
    ]
    kind = TensorProto.UINT8 if raw else TensorProto.FLOAT
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("x", kind, (1, 3, 8, 8))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 10))],
        [numpy_helper.from_array(value, name) for name, value in tensors.items() if name in used],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
