"""Select the published networks that a target's latency is estimated from, or relative to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..config.target import Reference, Target
from ..core.presets import PRESETS
from ..core.results import Runtime
from ..core.runtimes import RUNTIMES
from ..core.units import Relative

Precision = Literal["fp32", "int8"]


PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")


@dataclass(frozen=True)
class ReferenceModel:
    """A published network as a file for `runtime`; `name` is such as `timm/mobilenetv2_100@224`."""

    name: str
    precision: Precision
    runtime: Runtime

    @property
    def label(self) -> str:
        """The `Samples.path` of its measurement."""
        return label(self.name, self.precision)

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name.replace('/', '-')}-{self.precision}.{RUNTIMES[self.runtime].kind}"


def label(name: str, precision: str) -> str:
    """Return the `Samples.path` of a published network."""
    return f"{name} {precision}"


def pinned_models(target: Target) -> list[ReferenceModel]:
    """Return the float network that a measured target's latency is relative to; both share their processes."""
    latency = target.budgets.latency
    if latency is None or not isinstance(latency.limit, Relative):
        return []
    return [ReferenceModel(latency.limit.model, "fp32", target.runtime)]


def reference_models(target: Target, precision: str) -> list[ReferenceModel]:
    """Return the networks that an estimate in this precision rests on; none for a measured target."""
    if target.reach != "none" or target.budgets.latency is None:
        return []
    return [ReferenceModel(row.model, row.precision, target.runtime) for row in rows_for(target, precision)]


def rows_for(target: Target, precision: str) -> list[Reference]:
    """Return the rows of one runtime, precision and number of threads; the target's own runtime before a proxy's."""
    wanted = "fp32" if precision == "float32" else "int8" if precision in PRESETS else None
    rows = [row for row in target.references if (row.precision, row.threads) == (wanted, target.threads)]
    runtimes = [row.runtime for row in rows]
    best = max(
        runtimes, key=lambda name: (name in RUNTIMES[target.runtime].published, runtimes.count(name)), default=None
    )
    return [row for row in rows if row.runtime == best]
