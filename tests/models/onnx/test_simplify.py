"""Simplifying changes no file: what would change its outputs is left out, and said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from edgepress.core.columns import joined
from edgepress.core.errors import UserError
from edgepress.models.onnx import export, importer, simplify
from edgepress.stages.export import ExportOnnx
from edgepress.stages.load import Load
from onnx import numpy_helper

from tests.models.onnx.made import data, graph, images, imported, node, operators, run, weights


def log_mel(floor: float) -> onnx.ModelProto:
    """The logarithm of energies, to which so little is added that there is one for silence."""
    nodes = [
        node("Relu", ["x"], ["a"]), node("ReduceSum", ["a", "axes"], ["s"], keepdims=0),
        node("Add", ["s", "floor"], ["t"]), node("Log", ["t"], ["l"]), node("Gemm", ["l", "v"], ["y"]),
    ]  # fmt: skip
    tensors = {"axes": np.array([2, 3]), "floor": np.float32(floor), "v": weights(3, 5)}
    return graph(nodes, tensors)


@pytest.mark.parametrize("floor", [1e-8, 1e-10, 1e-12])
def test_the_logarithm_of_silence_stays_finite(floor: float, tmp_path: Path) -> None:
    """onnxscript takes 1e-10 for 0; the 16 examples that are compared need not be silent."""
    model = log_mel(floor)
    made, result = imported(model, tmp_path, data())
    assert not result.warnings
    silence = np.zeros((1, 3, 8, 8), np.float32)
    np.testing.assert_allclose(run(made, silence), run(model, silence), rtol=1e-5)


def test_nor_does_the_export_of_a_torch_module_lose_it(tmp_path: Path) -> None:
    class LogMel(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = torch.nn.Linear(3, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(torch.log(torch.relu(x).mean((2, 3)) + 1e-10))

    module, warnings = LogMel().eval(), list[str]()
    for options in ({}, {"simplify": False}):
        export.export(module, data(), tmp_path / "m.onnx", warn=warnings.append, **options)
        silence = torch.zeros(1, 3, 8, 8)
        expected = module(silence).detach().numpy()
        np.testing.assert_allclose(run(onnx.load(tmp_path / "m.onnx"), silence.numpy()), expected, rtol=1e-5)
    assert not warnings


def test_outputs_that_are_nearly_nothing_are_not_told_apart(tmp_path: Path) -> None:
    """A detector that sees nothing differs from itself by more between onnxruntime's levels."""
    nodes, tensors = images()
    nodes[-1] = node("Gemm", ["f", "v"], ["g"])
    made, result = imported(
        graph([*nodes, node("Mul", ["g", "k"], ["y"])], tensors | {"k": np.float32(1e-7)}), tmp_path, data()
    )
    assert not result.warnings
    assert operators(made)[-1] == "Mul"


def test_small_outputs_beside_large_ones_are_compared_by_themselves(tmp_path: Path) -> None:
    """Scores from 0 to 1 beside boxes in pixels: 1% of a score is 0.001% of a box."""
    scale = np.array([1000, 1000, 1000, 1, 1], np.float32)
    expected = np.random.default_rng(0).normal(size=(16, 5)).astype(np.float32) * scale
    original = importer.Original(tmp_path, ["y"], [], (), {})
    vars(original)["outputs"] = {"y": expected}
    vars(original)["_unoptimized"] = {"y": expected}
    assert original.excess(expected * np.float32(1 + 1e-4)) <= 1
    changed = expected.copy()
    changed[:, 3] += 0.5
    assert original.excess(changed) > 1


def test_a_graph_of_very_many_nodes_is_simplified_without_the_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of onnxscript's rules takes a time that grows as the square of the nodes; folding does not."""
    monkeypatch.setattr(simplify, "_MOST_NODES", 2)
    monkeypatch.setattr(simplify, "_by_rules", lambda model: pytest.fail("a long time"))
    model = graph(*images())
    made, result = imported(model, tmp_path, data())
    x = data()["test"].x[:1]
    np.testing.assert_allclose(run(made, x), run(model, x), rtol=1e-4, atol=1e-6)
    assert not result.warnings


def test_torch_is_not_imported_for_a_file(tmp_path: Path) -> None:
    """onnxsim imports it to find that another package is absent; it takes longer than all else of a small file."""
    onnx.save(graph(*images()), tmp_path / "m.onnx")
    code = (
        "import sys, onnx; from pathlib import Path; from edgepress.models.onnx import importer, simplify\n"
        "path = Path('m.onnx'); ways = simplify.simplifications(path, onnx.load(path)); next(ways)[1]()\n"
        "print('torch' in sys.modules)\nimport torch"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_limit_of_the_users_changes_no_result(tmp_path: Path) -> None:
    """Below the bound that folding sets itself: that failed, and another graph was the result."""
    onnx.save(graph(*images()), tmp_path / "m.onnx")
    code = (
        "import resource, onnx, sys; from pathlib import Path; from edgepress.models.onnx import simplify\n"
        "mb = int(sys.argv[1]) << 20\n"
        "if mb: resource.setrlimit(resource.RLIMIT_DATA, (mb, mb))\n"
        "path = Path('m.onnx'); ways = simplify.simplifications(path, onnx.load(path))\n"
        "sys.stdout.buffer.write(next(ways)[1]().SerializeToString(deterministic=True))"
    )
    results = [
        subprocess.run([sys.executable, "-c", code, mb], cwd=tmp_path, capture_output=True, check=True).stdout
        for mb in ("0", "600")
    ]
    assert results[0] == results[1]


@pytest.mark.parametrize(("spoilt", "way"), [(1, "without onnxscript's rules"), (3, "not at all")])
def test_where_simplifying_changes_outputs_less_is_simplified(
    spoilt: int, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the first ways had a fault: the second is taken, or none, and a warning names it and the difference."""
    count = 0

    def faulty(model: onnx.ModelProto) -> onnx.ModelProto:
        nonlocal count
        count += 1
        if count <= spoilt:
            for tensor in model.graph.initializer:
                values = numpy_helper.to_array(tensor)
                tensor.CopyFrom(numpy_helper.from_array(values * np.float32(1.5), tensor.name))
        return model

    monkeypatch.setattr(simplify, "_by_rules", faulty)
    monkeypatch.setattr(simplify, "by_folding", faulty)
    model = graph(*images())
    made, result = imported(model, tmp_path, data())
    x = data()["test"].x[:1]
    np.testing.assert_allclose(run(made, x), run(model, x), rtol=1e-4, atol=1e-6)
    (warning,) = result.warnings
    assert f"was simplified {way}" in warning
    assert "differs from the original by" in warning


def test_a_graph_that_no_way_keeps_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importer.Original, "excess", lambda self, outputs: 2.0)
    with pytest.raises(UserError, match="differs from the original by"):
        imported(graph(*images()), tmp_path, data())
    assert not (tmp_path / "made.onnx").exists()


def test_simplify_false_leaves_a_graph_as_it_is(tmp_path: Path) -> None:
    nodes, tensors = images("z")
    model = graph([node("Mul", ["x", "one"], ["z"]), *nodes], tensors | {"one": np.float32(1)})
    assert "Mul" not in operators(imported(model, tmp_path, data())[0])
    made, result = imported(model, tmp_path, data(), simplify=False)
    assert operators(made) == operators(model)
    assert not result.warnings


@pytest.mark.parametrize(
    ("stage", "given"), [(Load, {"use": "load", "from": "./a.onnx"}), (ExportOnnx, {"use": "export.onnx"})]
)
def test_the_option_at_its_default_is_in_no_key_and_no_lock(
    stage: type[Load] | type[ExportOnnx], given: dict[str, str]
) -> None:
    assert "simplify" not in stage.model_validate(given).model_dump(mode="json", by_alias=True)
    chosen = stage.model_validate(given | {"simplify": False})
    assert chosen.model_dump(mode="json", by_alias=True)["simplify"] is False


def test_a_later_output_that_is_no_number_is_seen(tmp_path: Path) -> None:
    expected = np.ones((16, 2, 3), np.float32)
    columns = {"a": expected[:, 0], "b": expected[:, 1]}
    original = importer.Original(tmp_path, [*columns], [], (), {})
    vars(original)["outputs"] = columns
    vars(original)["_unoptimized"] = columns
    spoilt = joined(columns | {"b": columns["b"] * np.float32(np.nan)})
    assert not original.excess(spoilt) <= 1
    assert original.excess(joined(columns)) == 0
    assert not np.isfinite(original.share(spoilt))
