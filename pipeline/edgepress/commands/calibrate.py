"""Implement `calibrate`: measure published networks on a target's device.

The latencies are written into the target file, with their date.

From then on estimates on any machine rest on what this very device did, in the runtime that the target names.
"""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from statistics import median
from typing import Any

from ..benchmark import paired
from ..benchmark.devices import health
from ..benchmark.devices.connect import connect
from ..benchmark.devices.transport import DeviceError, Transport
from ..config.target import Target, load
from ..core import yamlio
from ..core.document import Document
from ..core.errors import UserError
from ..core.paths import replacing, scratch
from ..core.runtimes import RUNTIMES
from ..core.yamledit import edited
from ..core.yamlio import inline
from ..engine import references
from ..gate.published import PRECISIONS, ReferenceModel

NETWORKS = (
    "timm/mobilenetv3_small_050@224",
    "timm/mobilenetv3_small_100@224",
    "torchvision/shufflenet_v2_x1_0@224",
    "timm/mnasnet_100@224",
    "timm/mobilenetv2_100@224",
    "timm/efficientnet_lite0@224",
    "timm/mobilenetv1_100@224",
    "torchvision/squeezenet1_1@227",
    "timm/resnet18@224",
)
"""From a millisecond to some hundred on a small board; nine carry a conformal interval."""
PROCESSES, ROUNDS = 4, 30


def free(path: Path, target: Target) -> None:
    """Refuse a `path` that exists and is no earlier calibration of `target`. Raises: UserError."""
    if not path.exists():
        return
    try:
        there = load(path)
    except UserError:
        there = None
    if there is None or there.name != target.name or not there.calibrated:
        raise UserError(f"`{path}` is there already, and is no calibration of `{target.name}`", "name another --output")


def calibrate(
    target: Target,
    text: str,
    path: Path,
    networks: tuple[str, ...] = NETWORKS,
    say: paired.Say = lambda done, total, words: None,
) -> str:
    """Write `text`, the target's file, to `path` with references measured on its device; what the device is.

    Raises: UserError for a target without a device, DeviceError for a device that cannot be measured.
    """
    if target.reach == "none":
        raise UserError(
            f"`{target.name}` has `reach: {target.reach}`", "name its address: `--on ssh://USER@HOST`, or `--on local`"
        )
    with scratch() as folder, connect(target.reach, target.python, target.binary) as device:
        before = device.info()
        health.require(target.reach, target.architecture, before, target.runtime)
        rows = _rows(target, networks, Path(folder), device, say)
        if why := health.throttled(before, device.info()):
            raise DeviceError(f"{target.reach}: {why}", "cool it, or power it better, and calibrate again")
    version = before["versions"].get(RUNTIMES[target.runtime].package, "")
    when = f"{datetime.date.today()}, {target.runtime} {version} on {health.about(before)}"
    with replacing(path) as temporary:
        temporary.write_text(_written(text, path, rows, when), encoding="utf-8")
    return health.about(before)


def _rows(
    target: Target, networks: tuple[str, ...], folder: Path, device: Transport, say: paired.Say
) -> list[dict[str, Any]]:
    """Measure one reference a network and precision, each alone in its processes: a small board holds no two large
    ones."""
    wanted = [ReferenceModel(name, precision, target.runtime) for name in networks for precision in PRECISIONS]
    rows = []
    for number, reference in enumerate(wanted):
        say(number, len(wanted), reference.label)
        file = references.build(reference, folder)
        model = paired.Model(reference.label, file, target.runtime, target.threads, target.provider)
        (samples,) = paired.measure([model], looks=(PROCESSES,), rounds=ROUNDS, device=device)
        seconds = median(median(process) for process in samples.wall)
        rows.append(
            {
                "model": reference.name,
                "ms": round(1e3 * seconds, 3),
                "precision": reference.precision,
                "threads": target.threads,
                "runtime": target.runtime,
                "statistic": "p50",
                "source": "edgepress calibrate",
                "commit": str(datetime.date.today()),
            }
        )
    return rows


def _written(text: str, path: Path, rows: list[dict[str, Any]], when: str) -> str:
    """Return the target's text with these references, a line each, in place of its own."""
    document = yamlio.parse(Document(path, text))
    plain = edited(document, {("references",): [], ("calibrated",): when})
    lines = "".join(f"\n  - {inline(row)}" for row in rows)
    return re.sub(r"^references: \[\]", lambda _: f"references:{lines}", plain, count=1, flags=re.MULTILINE)
