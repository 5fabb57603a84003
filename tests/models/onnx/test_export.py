"""ONNX files: what is exported answers as torch does, what is taken over is checked, and sizes are counted right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from edgepress.core.errors import UserError
from edgepress.core.metrics import METRICS
from edgepress.data.dataset import Dataset
from edgepress.models import checkpoint, metadata
from edgepress.models.description import Network
from edgepress.models.onnx import export
from edgepress.models.onnx.importer import adopt
from edgepress.models.predict import predict
from edgepress.stages.quantize import ptq
from edgepress.training import seeded
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from tests import graphs
from tests.conftest import fresh
from tests.models.test_dense import made as maps


def adopted(model: onnx.ModelProto | bytes, data: Dataset, folder: Path) -> Path:
    content = model if isinstance(model, bytes) else model.SerializeToString()
    (folder / "given.onnx").write_bytes(content)
    adopt(folder / "given.onnx", data, folder / "model.onnx")
    return folder / "model.onnx"


def refused(model: onnx.ModelProto | bytes, data: Dataset, folder: Path) -> str:
    with pytest.raises(UserError) as error:
        adopted(model, data, folder)
    assert "given.onnx" in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("arch", ["resnet18", "mobilenetv2_035"])
def test_the_export_answers_as_torch(arch: str, tiny: Network, few: Dataset, tmp_path: Path) -> None:
    network = tiny if arch == "resnet18" else Network(arch=f"timm/{arch}")
    module, _ = checkpoint.load(fresh(network, few, tmp_path / "m").path)
    path = tmp_path / "model.onnx"
    assert 0 <= export.export(module, few, path) < export.TOLERANCE
    x = few.input.to_model_inputs(few["test"].x[:20])
    with torch.inference_mode():
        expected = module(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(predict(path, x), expected, atol=1e-4 * np.abs(expected).max())
    model = onnx.load(path)
    assert [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim] == [1, 1, 8, 8]
    assert metadata.read_onnx(model) == metadata.describe(few)
    assert not any(node.op_type == "BatchNormalization" for node in model.graph.node)
    assert export.opset(model) == 18


@pytest.mark.parametrize("raw", [True, False])
def test_a_file_that_normalises_takes_raw_pixels(raw: bool, tiny: Network, few: Dataset, tmp_path: Path) -> None:
    """As uint8, or as floats from 0 to 255."""
    module, _ = checkpoint.load(fresh(tiny, few, tmp_path / "m").path)
    path = tmp_path / "model.onnx"
    assert export.export(module, few, path, embed=["normalize"], raw=raw) < export.TOLERANCE
    pixels = few["test"].x[:20]
    (given,) = metadata.to_model_inputs(metadata.read(path), few, pixels)
    assert given.dtype == (np.uint8 if raw else np.float32)
    assert np.array_equal(given, pixels)
    with torch.inference_mode():
        expected = module(torch.from_numpy(few.input.to_model_inputs(pixels))).numpy()
    np.testing.assert_allclose(predict(path, given), expected, atol=1e-4 * np.abs(expected).max())


def test_the_export_is_the_same_bytes_each_time(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    source = fresh(tiny, few, tmp_path / "m").path
    for name in ("a.onnx", "b.onnx"):
        export.export(checkpoint.load(source)[0], few, tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


class Masked(nn.Module):
    """Fused attention with a mask, as timm's networks with relative positions have it."""

    def __init__(self, data: Dataset) -> None:
        super().__init__()
        self.qkv, self.head = nn.Linear(8, 24), nn.Linear(64, len(data.labels))
        self.table = nn.Parameter(torch.randn(15, 2))
        self.register_buffer("index", torch.randint(15, (64,)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x[:, 0]).reshape(-1, 8, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        mask = self.table[self.index].view(1, 8, 8, 2).permute(0, 3, 1, 2).contiguous()
        read = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        logits: torch.Tensor = self.head(read.transpose(1, 2).reshape(-1, 8, 8).flatten(1))
        return logits


def test_attention_with_a_mask(few: Dataset, tmp_path: Path) -> None:
    """torch 2.15 refuses to export the fused operator with a mask that is computed."""
    torch.manual_seed(0)
    assert export.export(Masked(few), few, tmp_path / "model.onnx") < 1e-5


def test_what_torch_cannot_export_is_told(few: Dataset, tmp_path: Path) -> None:
    class Branching(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(np.linalg.pinv(x.numpy()[0, 0])) if float(x.sum()) > 0 else x

    with pytest.raises(UserError, match="torch cannot export"):
        export.export(Branching(), few, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_an_export_that_answers_otherwise_is_told(few: Dataset, tmp_path: Path) -> None:
    class Twofaced(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x.flatten(1)) * (1.01 if torch.compiler.is_exporting() else 1)

    with pytest.raises(UserError, match=r"the exported graph differs from torch by 1\.0%"):
        export.export(Twofaced(), few, tmp_path / "model.onnx")


@pytest.mark.parametrize("batch", [1, "batch", None, 0])
def test_an_open_batch_becomes_one(batch: Any, few: Dataset, tmp_path: Path) -> None:
    model = graphs.small((batch, 1, 8, 8))
    model = onnx.load(adopted(model, few, tmp_path))
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_value == 1
        assert not value.type.tensor_type.shape.dim[0].dim_param
    assert predict(tmp_path / "model.onnx", few.input.to_model_inputs(few["test"].x[:3])).shape == (3, 10)
    contract = metadata.read_onnx(model)
    assert (contract["inputs"][0]["name"], contract["outputs"][0]["name"]) == ("x", "y")
    assert contract["labels"] == list(few.labels)


def test_weights_listed_as_inputs_are_no_inputs(few: Dataset, tmp_path: Path) -> None:
    """As old exporters wrote them."""
    model = graphs.small()
    model.graph.input.extend(
        helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in model.graph.initializer
    )
    adopted(model, few, tmp_path)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (graphs.small((1, 1, 28, 28)), "takes float32 1 × 1 × 28 × 28"),
        (graphs.small((8, 1, 8, 8)), "takes float32 8 × 1 × 8 × 8"),
        (graphs.small((1, 3, 8, 8)), "takes float32 1 × 3 × 8 × 8"),
    ],
    ids=["size", "batch", "color"],
)
def test_another_input_is_told(model: onnx.ModelProto, said: str, few: Dataset, tmp_path: Path) -> None:
    message = refused(model, few, tmp_path)
    assert said in message
    assert "`digits` gives float32 1 × 1 × 8 × 8" in message


def test_another_number_of_classes_is_told(few: Dataset, tmp_path: Path) -> None:
    twelve = replace(few, name="twelve", labels=tuple("abcdefghijkl"))
    assert "gives 10 outputs, `twelve` has 12 labels" in refused(graphs.small(), twelve, tmp_path)


def test_a_map_as_output_is_told(few: Dataset, tmp_path: Path) -> None:
    model = graphs.small()
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("c1", TensorProto.FLOAT, (1, 4, 8, 8)))
    del model.graph.node[1:]
    message = refused(model, few, tmp_path)
    assert "gives a map of 4 × 8 × 8 for each example, `digits` has 10 labels" in message
    assert "maps are for the tasks segmentation, keypoints and image" in message


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("segmentation", "4 × 8 × 8 for each example, and the task segmentation of `made` takes 4 × 32 × 32"),
        ("keypoints", None),
        ("embedding", "4 × 8 × 8 for each example, and the task embedding of `made` takes ?, where ? is any size"),
        ("image", "4 × 8 × 8 for each example, and the task image of `made` takes 1 × 64 × 64"),
    ],
)
def test_an_output_is_compared_with_what_the_task_takes(task: Any, words: str | None, tmp_path: Path) -> None:
    data = maps(task)
    data = replace(data, labels=data.labels or ("a", "b", "c"))
    with seeded(0):
        module = Network(arch="timm/test_efficientnet").describe(maps("keypoints")).build()
    export.export(module, data, tmp_path / "given.onnx")
    if words is None:
        assert not adopt(tmp_path / "given.onnx", data, tmp_path / "out.onnx").quantized
        return
    with pytest.raises(UserError) as caught:
        adopt(tmp_path / "given.onnx", data, tmp_path / "out.onnx")
    assert words in str(caught.value)
    assert not (tmp_path / "out.onnx").exists()


def test_two_inputs_and_two_outputs_are_told(few: Dataset, tmp_path: Path) -> None:
    two = graphs.small()
    two.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, (1,)))
    assert "takes float32 1 × 1 × 8 × 8 and float32 1 where" in refused(two, few, tmp_path)
    out = graphs.small()
    out.graph.output.append(helper.make_tensor_value_info("m", TensorProto.FLOAT, (1, 8)))
    assert "has 2 outputs: y, m\n  = help: choose one: `output: NAME`" in refused(out, few, tmp_path)


def test_open_axes_are_fixed_by_shapes(few: Dataset, tmp_path: Path) -> None:
    model = graphs.small((1, 1, "h", "w"))
    said = refused(model, few, tmp_path)
    assert "leaves axis 2 of `x` open: [1, 1, 'h', 'w']\n  = help: fix it: `shapes: {x: [1, …]}`" in said
    adopt(tmp_path / "given.onnx", few, tmp_path / "model.onnx", shapes={"x": [1, 1, 8, 8]})
    assert predict(tmp_path / "model.onnx", few.input.to_model_inputs(few["test"].x[:3])).shape == (3, 10)
    with pytest.raises(UserError, match=r"has no input `image`"):
        adopt(tmp_path / "given.onnx", few, tmp_path / "model.onnx", shapes={"image": [1, 1, 8, 8]})
    with pytest.raises(UserError, match=r"axis 1 of `x` is 1 in .*, not 3"):
        adopt(tmp_path / "given.onnx", few, tmp_path / "model.onnx", shapes={"x": [1, 3, 8, 8]})


def test_one_output_of_several_is_kept(few: Dataset, tmp_path: Path) -> None:
    model = graphs.small()
    model.graph.output.append(helper.make_tensor_value_info("m", TensorProto.FLOAT, (1, 8)))
    onnx.save(model, tmp_path / "given.onnx")
    adopt(tmp_path / "given.onnx", few, tmp_path / "model.onnx", output="y")
    assert [each.name for each in onnx.load(tmp_path / "model.onnx").graph.output] == ["y"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"not onnx at all", b"\x00" * 100], ids=repr)
def test_other_files_are_told(content: bytes, few: Dataset, tmp_path: Path) -> None:
    assert "ONNX file" in refused(content, few, tmp_path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_cut_file_is_told(share: float, few: Dataset, tmp_path: Path) -> None:
    content = graphs.small().SerializeToString()
    assert "ONNX file" in refused(content[: int(share * len(content))], few, tmp_path)


def test_weights_in_a_file_that_is_not_there_are_told(few: Dataset, tmp_path: Path) -> None:
    model = graphs.small()
    onnx.save(model, tmp_path / "o.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    (tmp_path / "w.bin").unlink()
    assert "ONNX file" in refused((tmp_path / "o.onnx").read_bytes(), few, tmp_path)


def test_weights_beside_the_file_are_taken_in(few: Dataset, tmp_path: Path) -> None:
    onnx.save(graphs.small(), tmp_path / "o.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    path = adopted((tmp_path / "o.onnx").read_bytes(), few, tmp_path)
    (tmp_path / "w.bin").unlink()
    assert export.size(path) == (graphs.PARAMETERS, graphs.MACS)


def test_a_graph_that_does_not_run_is_told(few: Dataset, tmp_path: Path) -> None:
    """Sound by the rules of ONNX, which do not look into shapes that are computed."""
    model = graphs.small()
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 7], np.int64), "seven"))
    model.graph.node[-1].output[0] = "z"
    model.graph.node.append(helper.make_node("Reshape", ["z", "seven"], ["r"]))
    model.graph.node.append(helper.make_node("Gemm", ["r", "v"], ["y"]))
    model.graph.initializer.append(numpy_helper.from_array(np.ones((7, 10), np.float32), "v"))
    refused(model, few, tmp_path)


def test_an_operator_that_onnxruntime_lacks_is_told(few: Dataset, tmp_path: Path) -> None:
    model = graphs.small()
    model.graph.node[1].CopyFrom(helper.make_node("Mish2", ["c1"], ["r1"], domain="com.example"))
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    assert "Mish2" in refused(model, few, tmp_path)


def test_size_is_counted_as_by_hand(few: Dataset, tmp_path: Path) -> None:
    assert export.size(adopted(graphs.small(), few, tmp_path)) == (graphs.PARAMETERS, graphs.MACS)


def test_a_quantized_twin_counts_the_same(few: Dataset, tmp_path: Path) -> None:
    source = adopted(graphs.small(), few, tmp_path)
    options = ptq.Options(samples=8, ranges="minmax", improve=False, keep=None)
    ptq.quantize_static(source, few, METRICS["accuracy"], tmp_path, presets=("x86",), options=options)
    ptq.quantize_dynamic(source, tmp_path / "dynamic.onnx", per_channel=True)
    for name in ("model.x86.onnx", "model.xnnpack.onnx", "dynamic.onnx"):
        assert export.size(tmp_path / name) == (graphs.PARAMETERS, graphs.MACS), name


def test_operators_with_integers_inside_count_the_same(few: Dataset, tmp_path: Path) -> None:
    """QLinearConv and its kin, as the older format has them."""
    from onnxruntime import quantization as ort

    source = adopted(graphs.small(), few, tmp_path)

    class Reader(ort.CalibrationDataReader):  # type: ignore[misc]
        feeds = iter([{"x": few.input.to_model_inputs(few["validation"].x[:1])}])

        def get_next(self) -> Any:
            return next(self.feeds, None)

    ort.quantize_static(source, tmp_path / "q.onnx", Reader(), quant_format=ort.QuantFormat.QOperator, per_channel=True)
    assert "QLinearConv" in {node.op_type for node in onnx.load(tmp_path / "q.onnx").graph.node}
    assert export.size(tmp_path / "q.onnx") == (graphs.PARAMETERS, graphs.MACS)


def test_a_network_counts_as_torch_does(tiny: Network, few: Dataset, tmp_path: Path) -> None:
    """Batch norm is folded into the convolutions: its weight is gone, its bias is the convolution's."""
    module, _ = checkpoint.load(fresh(tiny, few, tmp_path / "m").path)
    export.export(module, few, tmp_path / "model.onnx")
    norms = sum(m.weight.numel() for m in module.modules() if isinstance(m, nn.BatchNorm2d))
    assert export.size(tmp_path / "model.onnx").parameters == sum(p.numel() for p in module.parameters()) - norms
