"""What options alone decide is said by `validate`, at the option at fault, before any stage runs; and all at once.

The refusals of a finished table: each was met by a stage that ran, after those above it had trained.
"""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace

import edgepress
import pytest
from edgepress.config import recipe
from edgepress.core.document import Document
from edgepress.core.errors import Problem, UserError
from edgepress.core.yamlio import parse
from edgepress.data import dataset
from edgepress.data.facts import SHIPPED, DataFacts
from edgepress.data.load import load_dataset
from edgepress.models.network_options import INPUTS
from edgepress.stages.train import Train

NET = "{arch: timm/resnet18, args: {layers: [1, 1, 1, 1]}}"
OTHER = "{arch: timm/resnet18, args: {layers: [1, 1, 1, 2]}}"
A = f"{{use: train, name: a, model: {NET}}}"
B = f"{{use: train, name: b, model: {NET}, seed: 1}}"
TWO = "{use: fuse.ensemble, name: e, models: [a, b]}"
ONNX = "{use: export.onnx, name: o}"
RAW = "{use: export.onnx, embed: [normalize], dtype: uint8}"
INTEGERS = "{use: quantize.static, presets: [x86, integer-only]}"
NORMALIZING = "{use: export.onnx, name: o, embed: [normalize]}"


def problems(
    *stages: str, data: str = "digits", more: str = "", targets: str = "[]", folder: Path = Path()
) -> list[Problem]:
    """What is wrong with a recipe of these stages."""
    lines = [f"task: {{data: {data}{more}}}", f"targets: {targets}", "stages:", *(f"  - {stage}" for stage in stages)]
    try:
        recipe.checked(parse(Document(folder / "mine.yaml", "\n".join(["name: mine", *lines]))))
    except UserError as error:
        return error.problems
    return []


SOURCES = {
    "integers of a file that takes raw pixels": ([A, RAW, INTEGERS], "integer-only", "`dtype: uint8`"),
    "trained integers too": (
        [A, RAW, "{use: quantize.aware, presets: [integer-only]}"], "integer-only", "`dtype: uint8`"),
    "integers of probabilities of several models": ([A, B, TWO, ONNX, INTEGERS], "integer-only", "logarithm"),
    "integers of files whose probabilities are averaged": (
        [A, ONNX, B, "{use: fuse.ensemble, models: [o, b]}", INTEGERS], "integer-only", "logarithm"),
    "integers that the quantizer has not written": (
        [A, ONNX, "use: quantize.static", "{use: convert.tflite, preset: integer-only}"], "integer-only",
        "no integers for"),
    "integers of a float file": (
        [A, ONNX, "{use: convert.tflite, preset: integer-only}"], "integer-only", "`export.onnx` makes no file"),
    "integers of weights alone": (
        [A, ONNX, "use: quantize.weights", "{use: convert.tflite, preset: integer-only}"], "integer-only",
        "`quantize.weights` makes no file"),
    "integers twice": ([A, ONNX, "use: quantize.static", "use: quantize.dynamic"], "quantize.dynamic", "already"),
    "integers of packed weights": (
        [A, ONNX, "{use: quantize.weights, name: w}", "{use: quantize.static, input: w}"], "w", "already"),
    "integers of a fusion of packed weights": (
        [A, ONNX, "{use: quantize.weights, name: w}", B, "{use: fuse.ensemble, models: [w, b]}", "use: quantize.int16"],
        "quantize.int16", "already"),
    "float16 on the way to TFLite": (
        [A, ONNX, "{use: quantize.float16, compute: float16, name: h}", B, "{use: fuse.ensemble, models: [h, b]}",
         "use: convert.tflite"], "convert.tflite", "float16"),
    "an ensemble that is pruned": ([A, B, TWO, "use: prune.channels"], "prune.channels", "ensemble"),
    "an ensemble that is trained further and pruned": (
        [A, B, TWO, "{use: train, start: e}", "use: prune.channels"], "prune.channels", "ensemble"),
    "a soup with an ensemble": ([A, B, TWO, "{use: fuse.soup.uniform, models: [a, e]}"], "e", "no weights"),
    "a soup of two architectures": (
        [A, f"{{use: train, name: c, model: {OTHER}}}", "{use: fuse.soup.uniform, models: [a, c]}"], "c",
        "architecture"),
    "a base of another architecture": (
        [A, B, f"{{use: train, name: c, model: {OTHER}}}", "{use: fuse.ties, models: [a, b], base: c}"], "c",
        "architecture"),
    "a student of another architecture in a soup": (
        [A, f"{{use: distill.kd, name: s, student: {OTHER}, teacher: a}}", "{use: fuse.soup.greedy, models: [a, s]}"],
        "s", "architecture"),
    "a soup with a pruned member": (
        [A, "{use: prune.channels, name: p}", "{use: train, name: q, start: p}", "{use: fuse.slerp, models: [a, q]}"],
        "q", "not pruned as"),
    "a fusion of files of unlike inputs": (
        [A, NORMALIZING, B, "{use: fuse.ensemble, models: [o, b]}"], "b", "other inputs"),
    "a member twice": ([A, "{use: fuse.ensemble, models: [a, a]}"], "[a, a]", "named twice"),
    "a stack of one model": ([A, "{use: fuse.stack, models: [a, a]}"], "[a, a]", "named twice"),
    "blended labels where one is needed": (
        [A, f"{{use: distill.dkd, student: {NET}, teacher: a, mixup: 0.2}}"], "0.2", "which `mixup` blends"),
}  # fmt: skip
"""What stands wrong: the stages, the text at fault, and words of the message."""

DATA = {
    "images for a network of images": ("text", "", A, "timm/resnet18", "takes images, the data has tokens"),
    "a series for one of tokens": (
        "sensor", "", "{use: train, model: edgepress/text}", "edgepress/text", "takes one input of tokens"),
    "three channels": ("digits", "", "{use: train, model: torchvision/resnet18}", "torchvision/resnet18", "3 channels"),
    "a folder of grey images": (
        "{from: photos, color: grey}", "", "{use: train, model: torchvision/resnet18}", "torchvision/resnet18",
        "3 channels"),
    "mixed tokens": ("text", "", "{use: train, model: edgepress/text, mixup: 0.2}", "0.2", "tokens cannot be mixed"),
    "an unknown network of torchvision": (
        "digits", "", "{use: train, model: torchvision/resnet81}", "torchvision/resnet81", "no network"),
    "an unknown network of edgepress": (
        "sensor", "", "{use: train, model: edgepress/conv2d}", "edgepress/conv2d", "no network"),
    "an unknown argument": (
        "sensor", "", "{use: train, model: {arch: edgepress/conv1d, args: {widht: 8}}}", "8", "takes no `widht`"),
    "an even kernel": (
        "sensor", "", "{use: train, model: {arch: edgepress/conv1d, args: {kernel: 4}}}", "4", "`kernel` of"),
    "a width that heads do not divide": (
        "sensor", "", "{use: train, model: {arch: edgepress/attention, args: {width: 30}}}", "{width: 30}",
        "not a multiple"),
    "weights that nobody has published": (
        "sensor", "", "{use: train, model: {arch: edgepress/conv1d, pretrained: true}}", "true",
        "no published weights"),
    "two classes": (
        "recommend", "", "{use: distill.dist, student: edgepress/two-tower, teacher: a}", "distill.dist",
        "two classes"),
    "classes of a regression": (
        "{from: x.npz, task: regression}", ", metric: mae",
        "{use: distill.kd, student: edgepress/mlp, teacher: a, standardize: true}", "true", "about classes"),
    "a weighing of classes": (
        "{from: x.npz, task: regression}", ", metric: mae",
        "{use: distill.kd, student: edgepress/mlp, teacher: a, weigh: entropy}", "entropy", "for classes"),
    "probabilities of a regression": (
        "{from: x.npz, task: regression}", ", metric: mae", "{use: export.onnx, embed: [softmax], input: a}",
        "[softmax]", "regression"),
    "raw pixels without images": (
        "sensor", "", "{use: export.onnx, embed: [normalize], dtype: uint8, input: a}", "uint8", "for images"),
    "labels where some are missing": (
        "digits", ", labels: 100", f"{{use: distill.dkd, student: {NET}, teacher: a}}", "distill.dkd", "needs labels"),
    "a score of numbers": ("digits", ", metric: mae", A, "mae", "cannot score"),
    "rare classes of a regression": (
        "{from: x.npz, task: regression}", ", metric: mae, imbalance: '10:1'", A, "'10:1'", "about classes"),
    "further examples from a CSV": ("digits", ", unlabelled: {from: x.csv}", A, "{from: x.csv}", "names a CSV"),
    "masks of further examples": (
        "digits", ", unlabelled: {from: ./photos, masks: ./photos}", A, "./photos", "about targets"),
    "a task of further examples": (
        "digits", ", unlabelled: {from: x.npz, task: keypoints}", A, "keypoints", "about targets"),
    "pictures for heat maps": (
        "{from: x.npz, task: keypoints}", "", "{use: train, model: edgepress/espcn}", "edgepress/espcn", "heat maps"),
    "weights of no classes": (
        "{from: x.npz, task: keypoints}", "", f"{{use: train, model: {NET}, balance: weights}}", "weights",
        "`balance: weights` changes nothing"),
    "sampling of masks": (
        "scenes", "", f"{{use: train, model: {NET}, balance: sampling}}", "sampling",
        "`balance: sampling` changes nothing"),
    "smoothing of pictures": (
        "{from: x.npz, task: image}", "", "{use: train, model: edgepress/espcn, label_smoothing: 0.1}", "0.1",
        "`label_smoothing: 0.1` changes nothing"),
    "a temperature of vectors": (
        "{from: x.npz, task: embedding}", "", f"{{use: distill.kd, student: {NET}, teacher: a, temperature: 2}}", "2",
        "`temperature: 2.0` changes nothing"),
    "a baseline with smoothing of points": (
        "{from: x.npz, task: keypoints}", "", f"{{use: distill.kd, student: {NET}, teacher: a, baselines: true}}",
        "true", "`baselines: true` changes nothing"),
    "normalized words": ("{from: text, normalize: none}", "", A, "none", "only tokens"),
    "integers of words": (
        "text", "", "{use: quantize.static, presets: [integer-only], input: o}", "integer-only", "tokens"),
}  # fmt: skip
"""The data, more of the task, a stage, the text at fault, and words of the message."""


def only(found: list[Problem], text: str, words: str) -> None:
    """One problem with these words, at this text, which says what to do."""
    said = [each for each in found if words in each.message]
    assert len(said) == 1, found
    assert said[0].place is not None
    assert said[0].place.text == text


@pytest.mark.parametrize("name", SOURCES)
def test_a_stage_and_what_it_works_on(name: str) -> None:
    stages, text, words = SOURCES[name]
    found = problems(*stages)
    assert len(found) == 1
    only(found, text, words)
    assert found[0].help


@pytest.mark.parametrize("name", DATA)
def test_a_stage_and_the_data(name: str, tmp_path: Path) -> None:
    data, more, stage, text, words = DATA[name]
    (tmp_path / "photos").mkdir()
    for file in ("x.npz", "x.csv"):
        (tmp_path / file).touch()
    before = ["{use: train, name: a, model: ./net.py:build}", "{use: export.onnx, name: o}"]
    (tmp_path / "net.py").write_text("def build(inputs, outputs):\n    ...\n")
    only(problems(*before, stage, data=data, more=more, folder=tmp_path), text, words)


@pytest.mark.parametrize("name", ["accuracy: 90%", "macro_f1: 80%", "worst_recall: 50%", "accuracy_drop: 1 points"])
def test_a_budget_of_classes_for_masks(name: str, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(f"name: own\nruntime: onnxruntime\nbudgets: {{size: 1 MB, {name}}}\n")
    found = problems(A, ONNX, data="scenes", targets="[own.yaml]", folder=tmp_path)
    only(found, name.partition(": ")[2], f"`{name.partition(':')[0]}` is a budget of classification")
    advisory = name.replace(": ", ": {limit: ") + ", level: advisory}"
    (tmp_path / "own.yaml").write_text(f"name: own\nruntime: onnxruntime\nbudgets: {{size: 1 MB, {advisory}}}\n")
    assert not problems(A, ONNX, data="scenes", targets="[own.yaml]", folder=tmp_path)


def test_a_temperature_of_maps_is_not_refused(tmp_path: Path) -> None:
    (tmp_path / "x.npz").touch()
    cwd = f"{{use: distill.cwd, student: {NET}, teacher: a, temperature: 2}}"
    assert not problems(A, cwd, data="{from: x.npz, task: keypoints}", folder=tmp_path)


@pytest.mark.parametrize("task", ["regression, metric: mae", "multi-label"])
def test_options_that_older_tasks_ignore_are_warned_of(task: str, tmp_path: Path) -> None:
    (tmp_path / "x.npz").touch()
    options = "label_smoothing: 0.1, balance: sampling"
    kind, _, metric = task.partition(", ")
    stage = f"{{use: train, model: {NET}, {options}}}"
    assert not problems(stage, data=f"{{from: x.npz, task: {kind}}}", more=f", {metric}" if metric else "",
                        folder=tmp_path)  # fmt: skip
    data = SimpleNamespace(task=kind)
    train = Train.model_validate(
        {"use": "train", "model": "edgepress/mlp", "label_smoothing": 0.1, "balance": "sampling"}
    )
    assert train.check_data(data, tmp_path) == [  # type: ignore[arg-type]
        f"sets `{option}`, which changes nothing: the losses of {kind} have no such term"
        for option in ("balance: sampling", "label_smoothing: 0.1")
    ]


def test_integers_that_a_target_sets(tmp_path: Path) -> None:
    """The target is named, since no option of the recipe's is at fault."""
    board = "name: mcu\nruntime: litert\npreset: integer-only\nbudgets: {size: 1 MB}\n"
    (tmp_path / "mcu.yaml").write_text(board)
    stages = [A, RAW, "use: quantize.static", "{use: convert.tflite, preset: integer-only}"]
    found = problems(*stages, targets="[mcu.yaml]", folder=tmp_path)
    assert len(found) == 1
    only(found, "quantize.static", "which the target `mcu` sets")


def test_what_goes_together_is_not_refused() -> None:
    """Each of these was run to its end."""
    assert not problems(A, NORMALIZING, INTEGERS)
    assert not problems(A, "{use: export.onnx, embed: [softmax]}", INTEGERS)
    assert not problems(A, B, "{use: fuse.ensemble, models: [a, b], of: logits}", ONNX, INTEGERS)
    assert not problems(A, B, "{use: fuse.stack, models: [a, b]}", ONNX, INTEGERS)
    assert not problems(A, B, TWO, "{use: train, start: e}")
    assert not problems(A, "{use: fuse.soup.uniform, models: [a, a]}")
    assert not problems(A, ONNX, "use: quantize.int16", "{use: convert.tflite, preset: integer-only}")
    assert not problems(A, RAW, "use: quantize.int16", "use: convert.tflite")
    assert not problems(A, ONNX, INTEGERS, "{use: convert.tflite, preset: integer-only}")


def test_all_are_said_at_once() -> None:
    """Beside a mistake of another kind, and in the order of the file."""
    pruned = [A, B, TWO, "{use: prune.channels, ratoi: 30%}", "{use: fuse.soup.uniform, models: [a, e]}"]
    found = problems(*pruned, f"{{use: distill.dkd, student: {NET}, teacher: a, mixup: 0.2}}", more=", metric: mae")
    assert [each.place.line for each in found if each.place] == [2, 8, 9, 10]


@pytest.mark.slow
def test_facts_of_shipped_data_are_those_of_the_data() -> None:
    for name in set(dataset.NAMES) - {"fashion-mnist"}:  # the full one is not on every machine, and is the same
        read = DataFacts.of(load_dataset(name))
        for fact in ("name", "task", "kinds", "channels", "classes"):
            assert getattr(SHIPPED[name], fact) == getattr(read, fact), (name, fact)
    assert set(SHIPPED) == set(dataset.NAMES)


def test_arguments_of_networks_are_those_of_their_functions() -> None:
    import inspect

    from edgepress.models.networks import NETS

    assert set(INPUTS) == set(NETS)
    for name, build in NETS.items():
        options = inspect.signature(build).parameters.values()
        assert INPUTS[name].args == {each.name: each.default for each in options if each.kind == each.KEYWORD_ONLY}


FILES = sorted((Path(edgepress.__file__).parent / "stages").rglob("*.py"))


def test_no_stage_refuses_its_own_options_while_it_runs() -> None:
    """A refusal whose conditions read nothing but the stage's options belongs into a validator or `reject`."""
    late = [f"{path.name}:{line}" for path in FILES for line in _of_options_alone(ast.parse(path.read_text("utf-8")))]
    assert not late, late


def _of_options_alone(tree: ast.Module) -> list[int]:
    lines = []
    for kind in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        for method in (node for node in kind.body if isinstance(node, ast.FunctionDef)):
            if method.name == "reject" or any("validator" in ast.unparse(each) for each in method.decorator_list):
                continue
            for test in (node for node in ast.walk(method) if isinstance(node, ast.If)):
                names = {node.id for node in ast.walk(test.test) if isinstance(node, ast.Name)}
                raises = [node for node in test.body if isinstance(node, ast.Raise) and node.exc]
                if names == {"self"} and any("Error" in ast.unparse(each) for each in raises):
                    lines.append(test.lineno)
    return lines


def test_the_check_of_the_check() -> None:
    source = "class A:\n    def run(self):\n        if self.mixup:\n            raise UserError('x')\n"
    assert _of_options_alone(ast.parse(source)) == [3]
