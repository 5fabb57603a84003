"""`load`: checkpoints of every kind, and each way in which one does not fit."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from edgepress.core.errors import UserError
from edgepress.data.dataset import Dataset
from edgepress.models import checkpoint
from edgepress.models.description import Network
from edgepress.stages.load import Load
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from tests import graphs
from tests.conftest import TINY, fresh

Perform = Callable[..., Any]


def stage(file: str, **options: Any) -> Load:
    return Load.model_validate({"use": "load", "from": file} | options)


def refused(file: str, data: Dataset, perform: Perform, **options: Any) -> UserError:
    with pytest.raises(UserError) as error:
        perform(stage(file, **options), {}, data)
    assert file in str(error.value)
    return error.value


@pytest.fixture
def weights(tiny: Network, few: Dataset, tmp_path: Path) -> dict[str, torch.Tensor]:
    return load_file(fresh(tiny, few, tmp_path / "origin").path)


def test_a_described_file_comes_back(tiny: Network, few: Dataset, tmp_path: Path, perform: Perform) -> None:
    source = fresh(tiny, few, tmp_path / "origin")
    artifact, made = perform(stage("origin/model.safetensors"), {}, few)
    assert made.kind == stage("origin/model.safetensors").kind == "torch"
    assert artifact.path.read_bytes() == source.path.read_bytes()


@pytest.mark.parametrize("case", ["a.safetensors", "a.pt", "a.pth", "a.pt within a training state"])
def test_a_plain_checkpoint_needs_the_name_of_its_network(
    case: str, weights: dict[str, torch.Tensor], few: Dataset, tmp_path: Path, perform: Perform
) -> None:
    name, _, nested = case.partition(" ")
    if name.endswith("safetensors"):
        save_file(weights, tmp_path / name)
    else:
        torch.save({"state_dict": weights, "epoch": 7} if nested else weights, tmp_path / name)
    if name.endswith("safetensors"):
        assert "model: timm/" in refused(name, few, perform).problems[0].help
    else:
        with pytest.raises(ValidationError, match="does not name its network"):
            stage(name)
    artifact, _ = perform(stage(name, model=TINY), {}, few)
    found = checkpoint.load(artifact.path)[0].state_dict()
    assert all(torch.equal(found[key], weights[key]) for key in weights)


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(
    few: Dataset, tmp_path: Path, perform: Perform
) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"fc.weight": Bomb()}, tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(pickle.dumps(Bomb()))
    for name, words in {"a.pt": f"calls `{os.mkdir.__module__}.mkdir` when it is", "b.pt": "holds more than"}.items():
        error = refused(name, few, perform, model=TINY)
        assert words in str(error)
        assert "torch.save(model.state_dict(), path)" in error.problems[0].help
        assert "weights_only" not in str(error), "torch's own advice is to run it"
    assert not (tmp_path / "ran").exists()


def test_a_whole_module_is_refused(few: Dataset, tmp_path: Path, perform: Perform) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "a.pt")
    assert "state_dict" in refused("a.pt", few, perform, model=TINY).problems[0].help


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" + b"\0" * 40, b"\x80\x02}q\x00."], ids=repr)
def test_other_files_are_refused(content: bytes, few: Dataset, tmp_path: Path, perform: Perform) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    refused("a.pt", few, perform, model=TINY)
    (tmp_path / "a.safetensors").write_bytes(content)
    refused("a.safetensors", few, perform, model=TINY)


@pytest.mark.parametrize("value", [[torch.zeros(2)], torch.zeros(2), {"state_dict": {"a": 1}}, {"fc": [1]}], ids=repr)
def test_what_is_no_state_dict_is_told(value: Any, few: Dataset, tmp_path: Path, perform: Perform) -> None:
    torch.save(value, tmp_path / "a.pt")
    assert "is not a state dict" in str(refused("a.pt", few, perform, model=TINY))


def test_a_cut_checkpoint_is_told(
    weights: dict[str, torch.Tensor], few: Dataset, tmp_path: Path, perform: Perform
) -> None:
    torch.save(weights, tmp_path / "a.pt")
    content = (tmp_path / "a.pt").read_bytes()
    for share in (0.3, 0.9, 0.999):
        (tmp_path / "a.pt").write_bytes(content[: int(share * len(content))])
        refused("a.pt", few, perform, model=TINY)


def test_another_network_is_told(
    weights: dict[str, torch.Tensor], few: Dataset, tmp_path: Path, perform: Perform
) -> None:
    torch.save(weights, tmp_path / "a.pt")
    message = str(refused("a.pt", few, perform, model="timm/mobilenetv2_035"))
    assert "does not fit the network; missing: `blocks.0.0.bn1.bias` and" in message
    assert "; not in the network: `" in message


def test_another_task_is_told(tiny: Network, few: Dataset, tmp_path: Path, perform: Perform) -> None:
    seven = replace(few, name="seven", labels=tuple("abcdefg"))
    fresh(tiny, seven, tmp_path / "origin")
    message = str(refused("origin/model.safetensors", few, perform))
    assert "has 7 classes" in message
    assert "`digits` has 1 × 8 × 8 and 10" in message


def test_an_onnx_file_is_taken_over(few: Dataset, tmp_path: Path, perform: Perform) -> None:
    onnx.save(graphs.small(), tmp_path / "a.onnx")
    artifact, made = perform(stage("a.onnx"), {}, few)
    assert made.kind == stage("a.onnx").kind == "onnx"
    assert artifact.path.is_file()


def test_an_onnx_file_that_is_quantized_says_so(few: Dataset, tmp_path: Path, perform: Perform) -> None:
    """It would be shown as float32, and quantizing it again is refused only later."""
    from edgepress.core.metrics import METRICS
    from edgepress.stages.quantize.ptq import Options, quantize_static

    onnx.save(graphs.small(), tmp_path / "a.onnx")
    artifact, _ = perform(stage("a.onnx"), {}, few)
    options = Options(samples=4, ranges="minmax", improve=False, keep=None)
    quantize_static(artifact.path, few, METRICS["accuracy"], tmp_path, presets=("xnnpack",), options=options)
    os.rename(tmp_path / "model.xnnpack.onnx", tmp_path / "q.onnx")
    _, made = perform(stage("q.onnx"), {}, few)
    assert made.notes["precision"] == "int8"


@pytest.mark.parametrize("file", ["a.bin", "a", "a.onnx.gz", "a.tflite"])
def test_other_suffixes_are_refused_before_a_run(file: str) -> None:
    with pytest.raises(ValidationError):
        stage(file)


def test_a_file_that_is_not_there(few: Dataset, perform: Perform) -> None:
    assert "there is no file `nowhere.pt`" in str(refused("nowhere.pt", few, perform, model=TINY))


def test_a_checkpoint_that_unpacks_to_far_more_is_not_unpacked(few: Dataset, tmp_path: Path, perform: Perform) -> None:
    torch.save({"w": torch.zeros(1_000_000)}, tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as plain, zipfile.ZipFile(tmp_path / "b.pt", "w", 8) as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    error = refused("b.pt", few, perform, model=TINY)
    assert "and promises tensors of 4,00" in str(error)


def test_a_view_that_repeats_one_number_is_not_copied(few: Dataset, tmp_path: Path, perform: Perform) -> None:
    torch.save({"w": torch.zeros(1).expand(1_000_000, 1_000_000)}, tmp_path / "v.pt")
    assert "`w` is a view of 4,000,000,000,000 bytes" in str(refused("v.pt", few, perform, model=TINY))


def test_a_description_of_more_outputs_than_weights_is_not_built(
    tiny: Network, few: Dataset, tmp_path: Path, perform: Perform
) -> None:
    source = fresh(tiny, few, tmp_path / "origin").path
    described, tensors = checkpoint.read(source)
    assert described is not None
    words = described.model_copy(update={"classes": 10**12}).model_dump_json(exclude_defaults=True)
    save_file(tensors, tmp_path / "d.safetensors", {checkpoint.METADATA_KEY: words})
    assert "describes a network of 1,000,000,000,000 outputs" in str(refused("d.safetensors", few, perform))


@pytest.mark.parametrize("length", [2**40, 2**63 - 1, 10])
def test_the_length_of_a_safetensors_header_may_lie(
    length: int, few: Dataset, tmp_path: Path, perform: Perform
) -> None:
    (tmp_path / "h.safetensors").write_bytes(length.to_bytes(8, "little") + b'{"w":{"dtype":"F32","shape":[9]}}')
    assert "is not a safetensors file" in str(refused("h.safetensors", few, perform, model=TINY))
