"""Are pruned networks the unpruned ones with zeros, as exported: for timm's families and networks of torchvision.

`make bench-prune` writes prune.json; it goes on after an interruption. Weights are random, with batch norms that have
seen images and no layer that does nothing; images are 64 px, or of the network's own size where that is fixed. Each
network has two processes: `ours` plans and exports, `alone` is torch-pruning without a check.
"""

from __future__ import annotations

import copy
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from edgepress.core.errors import UserError
from edgepress.core.paths import replacing
from edgepress.data.dataset import Dataset
from edgepress.models.description import Description, Network
from edgepress.models.onnx import export
from edgepress.models.predict import predict

from tests.bench import results
from tests.bench.networks import PIXELS, images, unequal

FOLDER = Path(".edgepress/prune")
TORCHVISION = ("shufflenet_v2_x0_5", "squeezenet1_1", "mnasnet0_5", "regnet_y_400mf", "mobilenet_v3_small", "vgg11_bn")
RATIO, ROUND_TO = 0.3, 8
EXACT = 1e-5
"""Largest difference of outputs, as a share of the largest output."""
SECONDS, MEMORY = {"ours": 900, "alone": 180}, 12 << 30
"""What a process may take: seconds of the clock, and addresses in bytes."""
Row = dict[str, Any]


def built(arch: str) -> tuple[Any, Description, Dataset]:
    """Return the network as a recipe builds it, with random weights that matter, and images for it."""
    import torch

    torch.manual_seed(0)
    try:
        module, description, data = _sized(arch, PIXELS)
    except UserError:
        module, description, data = _sized(arch, _own_pixels(arch))
    with torch.no_grad():
        for parameter in module.parameters():
            unequal(parameter)
        norms = [layer for layer in module.modules() if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm)]
        for norm in norms:
            norm.reset_running_stats()
            norm.train().momentum = None
        module(*map(torch.from_numpy, data.to_model_inputs(data["validation"].x[:4])))
    return module.eval(), description, data


def _sized(arch: str, pixels: int) -> tuple[Any, Description, Dataset]:
    data = replace(images(pixels, pixels), labels=tuple("abcdefghij"))
    description = Network(arch=arch).describe(data)
    return description.build(), description, data


def _own_pixels(arch: str) -> int:
    if not arch.startswith("timm/"):
        return 224
    import timm

    return int(timm.get_pretrained_cfg(arch.removeprefix("timm/")).input_size[-1])


def ours(arch: str) -> Row:
    """Plan, prune and export; compare with the export of the unpruned network whose channels are zero."""
    import torch
    from edgepress.models.pruning import replay
    from edgepress.stages.prune.plan import Options, plan
    from edgepress.stages.prune.zeroing import difference, zeroed

    module, description, data = built(arch)
    row: Row = {"pixels": data.input.shape[-1], "parameters": [_count(module)]}
    started = time.process_time()
    try:
        history, row["unpruned"], groups = plan(module, description.example(), Options(RATIO, ROUND_TO, False))
    except UserError as error:
        return row | {"refused": error.problems[0].message}
    row["seconds"] = round(time.process_time() - started, 1)
    pruned = description.model_copy(update={"pruned": history}).build().eval()
    weights = copy.deepcopy(module)
    replay(weights, history, description.example())
    pruned.load_state_dict(weights.state_dict())
    row["parameters"].append(_count(pruned))
    example = torch.from_numpy(data.to_model_inputs(data["test"].x[:2])[0])
    with zeroed(module, groups), torch.inference_mode():
        zeros = module(example)
    with torch.inference_mode():
        row["zeros"] = _off(zeros.numpy(), module(example).numpy())  # what was removed had counted
    try:
        with zeroed(module, groups):
            expected = _exported(module, data)
        row["difference"] = _off(_exported(pruned, data), expected)
    except UserError as error:  # with random weights some networks amplify roundings too far for the exporter's check
        row["export"] = error.problems[0].message
    if row.get("difference", 1.0) > EXACT:  # by rounding, or by more
        row["float64"] = difference(module.double(), pruned.double(), groups, (example.double(),))
    return row


def alone(arch: str) -> Row:
    """Prune with torch-pruning as it is; compare in torch."""
    import torch
    import torch_pruning
    from edgepress.stages.prune.groups import choose
    from edgepress.stages.prune.zeroing import difference

    module, description, data = built(arch)

    def pruner(network: Any) -> Any:
        return torch_pruning.pruner.BasePruner(
            network,
            description.example(),
            importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
            pruning_ratio=RATIO,
            round_to=ROUND_TO,
            ignored_layers=[
                layer
                for layer in network.modules()
                if isinstance(layer, torch.nn.Linear) and layer.out_features == description.classes
            ],
        )

    pruned = copy.deepcopy(module)
    try:
        pruner(pruned).step()
        groups = choose(pruner(module))
    except Exception as error:  # any
        return {"outcome": "crash", "error": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:100]}"}
    off = difference(module, pruned, groups, tuple(map(torch.from_numpy, data.to_model_inputs(data["test"].x[:2]))))
    return {"outcome": "crash" if off == float("inf") else "exact" if off <= EXACT else "other outputs"}


def _count(module: Any) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _exported(module: Any, data: Dataset) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export.export(module, data, path)
        return predict(path, data.to_model_inputs(data["test"].x))


def _off(outputs: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(outputs - expected).max() / np.abs(expected).max())


def in_a_process(arch: str, step: str) -> Row:
    """What came of a step, stored for the next run; a process that dies or takes too long has a row as well."""
    path = FOLDER / f"{arch.replace('/', '-')}-{step}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            ended = subprocess.run(
                [sys.executable, "-m", "tests.bench.prune", step, arch, str(path)],
                timeout=SECONDS[step], capture_output=True, text=True, check=False,
            )  # fmt: skip
            row = {} if path.is_file() else {"outcome": "crash", "error": ended.stderr[-300:]}
        except subprocess.TimeoutExpired:
            row = {"outcome": f"no end in {SECONDS[step]} s"}
        if row:
            with replacing(path) as temporary:
                temporary.write_text(json.dumps(row), encoding="utf-8")
    stored: Row = json.loads(path.read_text(encoding="utf-8"))
    return stored


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    if len(sys.argv) > 1:
        step, arch, path = sys.argv[1:]
        os.nice(5)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        warnings.simplefilter("ignore")
        row = {"ours": ours, "alone": alone}[step](arch)
        with replacing(Path(path)) as temporary:
            temporary.write_text(json.dumps(row), encoding="utf-8")
        return
    families = [row["model"] for row in results.read("coverage")["modules"].values()]
    archs = [*(f"timm/{name}" for name in families), *(f"torchvision/{name}" for name in TORCHVISION)]

    def run(job: tuple[str, str]) -> Row:
        row = in_a_process(*job)
        print(*job, json.dumps(row)[:300], flush=True)
        return row

    rows: dict[str, Row] = {arch: {} for arch in archs}
    with ThreadPoolExecutor(2) as pool:
        for step in SECONDS:
            for arch, row in zip(archs, pool.map(run, [(arch, step) for arch in archs]), strict=True):
                rows[arch][step] = row
    print(results.write("prune", "make bench-prune", {"ratio": RATIO, "round_to": ROUND_TO, "networks": rows}))


if __name__ == "__main__":
    main()
