"""A target profile: the device, the runtime that serves it, and the budgets that a model must meet there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from ..benchmark.devices.transport import REACH
from ..benchmark.emulator.qemu import Cpu
from ..core import paths, yamlio
from ..core.errors import Mistake, Place, UserError, suggest
from ..core.presets import PresetName, host_preset
from ..core.results import Machine, Provider, Runtime
from ..core.units import REFERENCE, Bytes, Factor, Latency, Points, Relative, Seconds, Share
from ..core.validation import validated

Level = Literal["required", "advisory"]


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def given(self) -> list[tuple[str, Any]]:
        """The fields that are set, in their order."""
        return [(name, getattr(self, name)) for name in type(self).model_fields if getattr(self, name) is not None]


class Budget(Strict):
    """A limit, written plainly (`2 MB`) or with its level (`{limit: 2 MB, level: advisory}`)."""

    level: Level = Field(default="required", description="an advisory budget is shown and never fails the gate")

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return value if isinstance(value, dict | Budget) else {"limit": value}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        mapping = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [mapping["properties"]["limit"], mapping]}


class BytesBudget(Budget):
    limit: Bytes = Field(description="the number to keep to, with its unit")


class SecondsBudget(Budget):
    limit: Seconds = Field(description="the number to keep to, with its unit")


class LatencyBudget(Budget):
    limit: Latency = Field(description="the number to keep to, with its unit")
    percentile: int = Field(default=50, ge=1, le=99, description="the share of runs that must be this fast")

    @model_validator(mode="after")
    def _relative_is_a_median(self) -> LatencyBudget:
        if isinstance(self.limit, Relative) and "percentile" in self.model_fields_set:
            raise Mistake("a limit relative to a reference compares medians", "leave `percentile` out")
        return self


class AccuracyBudget(Budget):
    limit: Share = Field(description="the number to keep to, with its unit")


class DropBudget(Budget):
    limit: Points = Field(description="the number to keep to, with its unit")


class Regression(Strict):
    """What a model may lose against the accepted one that `--baseline` names; `null` leaves a check out.

    Latency is compared where it is measured; a target that is only estimated has no such check.
    """

    size: Share | None = Field(default=0.05, description="how much larger the file may be")
    latency: Share | None = Field(default=0.05, description="how much slower it may run")
    accuracy_drop: Points | None = Field(default=1.0, description="on the test split, at most")


class Budgets(Strict):
    size: BytesBudget | None = Field(default=None, description="bytes of the file that the runtime loads, at most")
    latency: LatencyBudget | None = Field(default=None, description="time of one inference, at most")
    memory: BytesBudget | None = Field(default=None, description="peak resident memory of a process that runs it")
    cold_start: SecondsBudget | None = Field(
        default=None, description="time to load the file and infer once in a fresh process, at most"
    )
    accuracy: AccuracyBudget | None = Field(default=None, description="on the test split, at least")
    fallback: AccuracyBudget | None = Field(
        default=None, description="share of operators that are not among the target's `supports`, at most"
    )
    macro_f1: AccuracyBudget | None = Field(
        default=None, description="the mean over classes of F1 on the test split, at least"
    )
    worst_recall: AccuracyBudget | None = Field(
        default=None, description="the recall of the class that is told worst, on the test split, at least"
    )
    accuracy_drop: DropBudget | None = Field(default=None, description="points below the recipe's reference, at most")


class Reference(Strict):
    """A latency of a published network on the device: one row of a published table, with its source."""

    model: Annotated[str, Field(pattern=f"^{REFERENCE}$", description="such as `timm/mobilenetv2_100@224`")]
    ms: Annotated[float, Field(gt=0)]
    precision: Literal["fp32", "int8"]
    threads: Annotated[int, Field(ge=1)]
    runtime: str
    statistic: Literal["min", "mean", "p50", "p90"]
    source: str
    commit: str


class Target(Strict):
    name: str = Field(description="what reports call it")
    about: str = Field(default="", description="the device, and how the model runs on it")
    runtime: Runtime = Field(description="what runs the model there")
    threads: Annotated[int, Field(ge=1)] = Field(default=1, description="of the runtime")
    provider: Provider = Field(
        default="cpu", description="what onnxruntime computes on there; the time of loading then builds its engine"
    )
    reach: Annotated[str, Field(pattern=REACH)] = Field(
        default="none",
        description="where to measure: `local`, `ssh://[USER@]HOST[:PORT]`, `adb://SERIAL`; `none` means: estimated "
        "from this machine",
        examples=["none", "local", "ssh://pi@raspberrypi.local"],
    )
    python: str = Field(
        default="python3", description="on a device reached by ssh, the Python that has the runtime and numpy"
    )
    binary: str | None = Field(
        default=None,
        description="on a device reached by adb, the benchmark program: TFLite's benchmark_model, or "
        "onnxruntime_perf_test",
        examples=["/data/local/tmp/benchmark_model"],
    )
    architecture: str | None = Field(
        default=None, description="of the device, as `uname -m` says it; any other is refused", examples=["aarch64"]
    )
    sustained: Seconds | None = Field(
        default=None,
        description="run the model for so long before measuring: the latency of a warm device",
        examples=["10 min"],
    )
    preset: PresetName | None = Field(default=None, description="by default what suits the processor")
    emulate: Cpu | None = Field(
        default=None,
        description="its processor, on whose instruction set accuracy is counted where `edgepress doctor "
        "--install-emulator` was run",
    )
    max_opset: Annotated[int, Field(ge=7)] | None = Field(
        default=None, description="the newest operator set that its onnxruntime loads", examples=[16]
    )
    max_ir: Annotated[int, Field(ge=3)] | None = Field(
        default=None, description="the newest version of the ONNX format that its onnxruntime loads", examples=[8]
    )
    supports: tuple[str, ...] | None = Field(
        default=None,
        description="the operators that its accelerator has, as ONNX or TFLite calls them: reports name the others",
        examples=[["CONV_2D"]],
    )
    extrapolate: Factor | None = Field(default=None, description="widens estimates outside the references' span")
    calibrated: str | None = Field(default=None, description="when and with what the references were measured on it")
    references: list[Reference] = []
    regression: Regression = Field(default=Regression(), description="what `--baseline` allows")
    budgets: Budgets

    _document: yamlio.Document | None = PrivateAttr(default=None)

    @field_validator("budgets")
    @classmethod
    def _relative_needs_a_measurement(cls, budgets: Budgets, info: ValidationInfo) -> Budgets:
        latency = budgets.latency
        if latency and isinstance(latency.limit, Relative) and info.data.get("reach") == "none":
            raise Mistake("a latency relative to a reference has to be measured", "write `reach: local`, or a time")
        return budgets

    @property
    def file(self) -> Path | None:
        """What it was read from."""
        return self._document.path if self._document else None

    @property
    def attached(self) -> bool:
        """Whether it is measured on a device of its own."""
        return self.reach not in ("local", "none")

    @property
    def written(self) -> dict[str, Any]:
        """The budgets as people wrote them, by name."""
        found: dict[str, Any] = self._document.data["budgets"] if self._document else {}
        return found

    def place(self, *loc: str) -> Place | None:
        """Where the file sets an option, or the nearest to it; None for a target that was not read from a file."""
        return self._document.place(loc) if self._document else None

    def integers(self, machine: Machine) -> PresetName:
        """The integer preset of the file for this target; `machine` is the one that measures."""
        if self.preset:
            return self.preset
        if self.runtime != "onnxruntime":
            return "xnnpack"
        return host_preset(machine) if self.reach == "local" else "arm"


def at(target: Target, reach: str | None) -> Target:
    """The target where `reach` says that its device is. Raises: UserError for what is no such place."""
    if reach is None:
        return target
    if not re.fullmatch(REACH, reach):
        raise UserError(f"--on: `{reach}` is no device", "for example `ssh://pi@raspberrypi.local`")
    return target.model_copy(update={"reach": reach})


def load(path: Path, budgets: yamlio.Document | None = None) -> Target:
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
    """The file of the target that the recipe `source` calls `name`: a path beside it, or `NAME.yaml` in a folder
    `targets`, beside it, or among the shipped ones."""
    if name.endswith((".yaml", ".yml")):
        return source.parent / name
    folders = [source.parent / "targets", source.parent.parent / "targets", Path("targets")]
    found = next((file for folder in folders if (file := paths.called(name, folder))), None)
    if found is None and (beside := paths.called(name, source.parent)) and paths.kind_of(beside) == "targets":
        found = beside
    if found := found or paths.shipped(name, "targets"):
        return paths.chosen(name, "targets", found)
    known = {file.stem for folder in (*folders, paths.folder_of("targets")) for file in folder.glob("*.y*ml")}
    known |= {file.stem for file in source.parent.glob("*.y*ml") if paths.kind_of(file) == "targets"}
    raise UserError(f"there is no target `{name}`", suggest(name, known, "write its path, ending in .yaml"))


def presets(targets: Iterable[Target], machine: Machine) -> tuple[PresetName, ...]:
    """The integer presets that the targets need, the host's first, each once."""
    return tuple(dict.fromkeys([host_preset(machine), *(target.integers(machine) for target in targets)]))
