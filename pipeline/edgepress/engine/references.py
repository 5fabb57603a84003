"""Build the published networks that an estimate rests on, as files for a runtime."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

    from .cache import Cache
from ..core.runtimes import RUNTIMES
from ..gate.published import ReferenceModel
from ..stage import LIBRARIES


def file_for(model: ReferenceModel, cache: Cache, versions: dict[str, str]) -> Path:
    """Return the reference model's file; it is cached since building takes seconds, its times never are."""
    used = {name: version for name, version in versions.items() if name in LIBRARIES}
    material = {"reference": model.label, "runtime": model.runtime, "versions": used}
    entry = cache.make(material, lambda folder, scratch: {"file": build(model, folder).name})
    return entry.folder / str(entry.facts["file"])


def build(model: ReferenceModel, folder: Path) -> Path:
    """Write `model` into `folder`, with random weights: time does not depend on them. Takes seconds."""
    import onnx

    folder.mkdir(parents=True, exist_ok=True)
    network = _export(model.name, folder / "export.onnx")
    if model.precision == "int8":
        network = _quantized(network, folder)
    path = folder / model.file
    if RUNTIMES[model.runtime].kind == "onnx":
        onnx.save(network, path)
    else:
        from ..models.tflite import convert

        path.write_bytes(convert.write(network, {}))
    return path


def _export(name: str, scratch: Path) -> onnx.ModelProto:
    """Export the published network in eval mode with 3 channels and 1000 classes, as simplified ONNX.

    torch's older exporter is faster than the one by `torch.export`, and writes the same operators but for the last
    pooling.
    """
    import onnx
    import onnxsim
    import torch

    network, side = name.rsplit("@", 1)
    library, model = network.split("/")
    if library == "timm":
        import timm

        module = timm.create_model(model, num_classes=1000)
    else:
        import torchvision

        module = torchvision.models.get_model(model, weights=None)
    example = torch.randn(1, 3, int(side), int(side))
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(module.eval(), (example,), str(scratch), dynamo=False, input_names=["input"])
    simple, _ = onnxsim.simplify(onnx.load(scratch))
    scratch.unlink()
    return simple


def _quantized(network: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """Quantize per channel to S8S8 in QDQ form, calibrated on a few random images."""
    import numpy as np
    import onnx

    from ..stages.quantize.ptq import signed

    path = folder / "float.onnx"
    onnx.save(network, path)
    shape = [size.dim_value for size in network.graph.input[0].type.tensor_type.shape.dim]
    images = np.random.default_rng(0).standard_normal((4, *shape[1:])).astype(np.float32)
    quantized = signed(path, images)
    path.unlink()
    return quantized
