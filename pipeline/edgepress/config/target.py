"""Define a target profile: device, runtime and budgets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
)

from ..benchmark.devices.transport import REACH
from ..benchmark.emulator.qemu import Cpu
from ..core import foreign, paths, yamlio
from ..core.document import Document
from ..core.errors import Mistake, Place, UserError, suggest
from ..core.presets import PresetName, host_preset
from ..core.results import Machine, Provider, Runtime
from ..core.runtimes import RUNTIMES
from ..core.units import REFERENCE, Factor, Relative, Seconds
from ..core.validation import validated
from .budgets import Budgets, Regression, Strict


class Reference(Strict):
    """Latency of a published network on the device: one row of a published table, with its source."""

    model: Annotated[str, Field(pattern=f"^{REFERENCE}$", description="such as `timm/mobilenetv2_100@224`")]
    ms: Annotated[float, Field(gt=0)]
    precision: Literal["fp32", "int8"]
    threads: Annotated[int, Field(ge=1)]
    runtime: str
    statistic: Literal["min", "mean", "p50", "p90"]
    source: str
    commit: str


class Target(Strict):
    name: str = Field(description="name of the target in reports")
    about: str = Field(default="", description="description of the device and of how the model runs on it")
    runtime: Runtime = Field(description="runtime of the model on the device")
    threads: Annotated[int, Field(ge=1)] = Field(default=1, description="threads of the runtime")
    provider: Provider = Field(
        default="cpu",
        description="execution provider of onnxruntime; for an accelerator, cold start includes building its engine",
    )
    reach: Annotated[str, Field(pattern=REACH)] = Field(
        default="none",
        description="address of the device to measure on: `local`, `ssh://[USER@]HOST[:PORT]` or `adb://SERIAL`; with "
        "`none`, latency is estimated from this machine",
        examples=["none", "local", "ssh://pi@raspberrypi.local"],
    )
    python: str = Field(default="python3", description="Python with the runtime and numpy, on a device reached by ssh")
    binary: str | None = Field(
        default=None,
        description="benchmark program on a device reached by adb: TFLite's benchmark_model or onnxruntime_perf_test",
        examples=["/data/local/tmp/benchmark_model"],
    )
    architecture: str | None = Field(
        default=None,
        description="processor architecture of the device, as `uname -m` prints it; any other is refused",
        examples=["aarch64"],
    )
    sustained: Seconds | None = Field(
        default=None,
        description="time to run the model before measuring, for the sustained latency of a warm device",
        examples=["10 min"],
    )
    preset: PresetName | None = Field(
        default=None, description="integer format; by default it follows from the runtime and the processor"
    )
    emulate: Cpu | None = Field(
        default=None,
        description="processor to emulate: accuracy is evaluated on its instruction set once `edgepress doctor "
        "--install-emulator` was run",
    )
    max_opset: Annotated[int, Field(ge=7)] | None = Field(
        default=None, description="newest ONNX operator set that its onnxruntime loads", examples=[16]
    )
    max_ir: Annotated[int, Field(ge=3)] | None = Field(
        default=None, description="newest ONNX IR version that its onnxruntime loads", examples=[8]
    )
    supports: tuple[str, ...] | None = Field(
        default=None,
        description="operators that its accelerator supports, by ONNX or TFLite name; reports list all others",
        examples=[["CONV_2D"]],
    )
    extrapolate: Factor | None = Field(
        default=None, description="factor that widens latency estimates outside the range of the references"
    )
    calibrated: str | None = Field(
        default=None, description="date and versions of the measurement of the references on this device"
    )
    references: list[Reference] = Field(default=[])
    regression: Regression = Field(default=Regression(), description="regressions that `--baseline` allows")
    budgets: Budgets

    _document: Document | None = PrivateAttr(default=None)

    @field_validator("budgets")
    @classmethod
    def _relative_needs_a_measurement(cls, budgets: Budgets, info: ValidationInfo) -> Budgets:
        latency = budgets.latency
        if latency and isinstance(latency.limit, Relative) and info.data.get("reach") == "none":
            raise Mistake("a latency relative to a reference has to be measured", "write `reach: local`, or a time")
        return budgets

    @property
    def file(self) -> Path | None:
        """Return the file that it was read from."""
        return self._document.path if self._document else None

    @property
    def attached(self) -> bool:
        """Whether it is measured on a device of its own."""
        return self.reach not in ("local", "none")

    @property
    def written(self) -> dict[str, Any]:
        """Return the budgets as people wrote them, by name."""
        budgets: dict[str, Any] = self._document.data["budgets"] if self._document else {}
        return budgets

    def place(self, *loc: str) -> Place | None:
        """Return where the file sets an option, or the nearest to it; None for a target that was not read from a
        file."""
        return self._document.place(loc) if self._document else None

    def integers(self, machine: Machine) -> PresetName:
        """Return the integer format of the file for this target; `machine` is the one that measures."""
        if self.preset:
            return self.preset
        if own := RUNTIMES[self.runtime].preset:
            return own
        return host_preset(machine) if self.reach == "local" else "arm"


def at(target: Target, reach: str | None) -> Target:
    """Return the target with its device at `reach`. Raises: UserError for a malformed address."""
    if reach is None:
        return target
    if not re.fullmatch(REACH, reach):
        raise UserError(f"--on: `{reach}` is no device", "for example `ssh://pi@raspberrypi.local`")
    return target.model_copy(update={"reach": reach})


def load(path: Path, budgets: Document | None = None) -> Target:
    """Read a target file; everything wrong in it is one `UserError`, and each budget keeps its place.

    Each of `budgets`, those of a recipe, replaces the file's budget of the same name, and has its place in the recipe.
    """
    document = yamlio.read(path)
    target = validated(document, Target)
    if budgets is not None:
        for name in budgets.data:
            document.put(
                ("budgets", name), budgets.part((name,)), [budgets.place(()), budgets.place((name,), key=True)]
            )
        document.values[("budgets",)] = budgets.place(())  # what does not fit the target stands in the recipe
        target = validated(document, Target)
    target._document = document
    return target


def find(name: str, source: Path) -> Path:
    """Return the file of the target that the recipe `source` calls `name`.

    A path counts from the recipe's folder; a name is that of `NAME.yaml` in a folder `targets`, beside the recipe,
    or among the shipped ones.
    """
    is_path = name.endswith(paths.YAML)
    if wrong := foreign.refused(name, source.parent / (name if is_path else f"targets/{name}.yaml")):
        raise UserError(*wrong)
    if is_path:
        return source.parent / name
    folders = [source.parent / "targets", source.parent.parent / "targets", Path("targets")]
    file = next((file for folder in folders if (file := paths.called(name, folder))), None)
    if file is None and (beside := paths.called(name, source.parent)) and paths.kind_of(beside) == "targets":
        file = beside
    if file := file or paths.shipped(name, "targets"):
        return paths.chosen(name, "targets", file)
    known = {file.stem for folder in (*folders, paths.folder_of("targets")) for file in folder.glob("*.y*ml")}
    known |= {file.stem for file in source.parent.glob("*.y*ml") if paths.kind_of(file) == "targets"}
    raise UserError(f"there is no target `{name}`", suggest(name, known, "write its path, ending in .yaml"))


def presets(targets: Iterable[Target], machine: Machine) -> tuple[PresetName, ...]:
    """Return the integer presets that the targets need, the host's first, each once."""
    return tuple(dict.fromkeys([host_preset(machine), *(target.integers(machine) for target in targets)]))
