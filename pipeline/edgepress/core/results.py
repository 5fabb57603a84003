"""Define the results of a run: `runs/NAME/report.json` is a `Report`.

Every verdict and text is made from one.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from .runtimes import RUNTIMES

if TYPE_CHECKING:
    Runtime = str
else:  # the names of the table
    Runtime = Literal[tuple(RUNTIMES)]
Provider = Literal["cpu", "cuda", "tensorrt"]
CONFUSED = 12
"""Most frequent mistakes of a file that are kept."""
_HALVES = re.compile("[\ud800-\udfff]")


class Facts(BaseModel):
    # An infinite score is kept as it is: JSON has no word for it, and `null` would be read as no number at all.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    def as_json(self, indent: int | None = None) -> str:
        """Return the results as JSON; half a character, as names of undecodable bytes have it, becomes an escape."""
        compact = (",", ":") if indent is None else None
        text = json.dumps(self.model_dump(), ensure_ascii=False, indent=indent, separators=compact)
        return _HALVES.sub(lambda half: f"\\\\u{ord(half[0]):04x}", text)


class ModelFile(Facts):
    """One file that a runtime loads. `precision` is `float32`, `float16`, `weights` (int8, computed in float),
    `dynamic`, `int16`, the integer preset (see `presets`), or `int8` for a file that was loaded quantized.

    `scores` is by split (`validation`, `test`): metric name → value. For accuracy `correct` marks each test example
    `1` or `0`, in the order of the split; for any other metric `resampled` has its values on bootstrap draws of them,
    the same draws for every file. A slow metric of the user's own has only the first of them, or none.
    """

    path: str
    kind: Literal["onnx", "tflite"]
    precision: str
    bytes: int
    sha256: str
    scores: dict[str, dict[str, float]]
    opset: int | None = None
    """The operator set of an ONNX file that was delivered."""
    ir: int | None = None
    """The version of the ONNX format of one that was delivered."""
    correct: str = ""
    resampled: list[float] = []
    drawn: int = 0
    """Of how many groups `resampled` are draws; 0 where they are of examples."""
    bounds: dict[str, tuple[float, float, float]] = {}
    """Of a delivered classifier, metric → its value on the test split, with a 95% interval."""
    worst: tuple[str, int, int] | None = None
    """Of a delivered classifier, the class of the lowest recall: how many test examples are right, of how many."""
    operators: dict[str, int] = {}
    """Of a delivered file, how many there are of each operator."""
    real: dict[str, int] = {}
    """Those of them that compute in float."""
    recalls: dict[str, tuple[int, int]] = {}
    """By class: how many test examples are right, of how many; of masks pixels, and of boxes those that are found."""
    confused: list[tuple[str, str, int]] = []
    """The most frequent mistakes on the test split: class, predicted class, how many of the same."""


class Curve(Facts):
    """The course of one training, a number for each epoch; `name` tells several trainings of a stage apart.

    `loss` is the mean over the batches, `metric` the recipe's on `examples` of the validation split. Without these
    there is no metric.
    """

    name: str = ""
    loss: list[float]
    metric: list[float] = []
    examples: int = 0


class StageFacts(Facts):
    """One row of the stage table. A torch model is shown as the float ONNX file that it exports to."""

    name: str
    use: str
    kind: Literal["torch", "onnx", "tflite"]
    inputs: list[str]
    cached: bool
    seconds: float
    parameters: int
    macs: int | None
    files: list[ModelFile]
    notes: dict[str, Any]
    warnings: list[str]
    summary: list[str] | None = None
    """The report's lines on how the stage went; None in a report of an older version, whose notes they follow from."""
    curves: list[Curve] = []
    """Of each training; none of a result that the cache had before curves were recorded."""
    doubt: str = ""
    """Why a float or loaded model, or what it is made of, is probably fed or read wrongly: `near chance level`."""


class Samples(Facts):
    """Raw times of one model: seconds, `[process][round]`; round j of process i is paired across models.

    `path` is that of a `ModelFile`, or names a reference model: `timm/mobilenetv2_100@224 int8`.
    """

    path: str
    runtime: Runtime
    threads: int
    wall: list[list[float]]
    cpu: list[list[float]]
    provider: Provider = "cpu"
    """What onnxruntime computed on."""
    device: str = ""
    """The target on whose device they were taken; empty for this machine."""
    memory: int | None = None
    """Peak resident bytes of a fresh process that loads this file alone and runs it, or None."""
    load: list[float] = []
    """Seconds that fresh processes took to load the file, wall time, with the runtime imported before."""
    first: list[float] = []
    """Seconds of the first inference after that."""

    @property
    def on_one_thread(self) -> bool:
        """Tell whether CPU time is the time of an inference: not of several threads, some of which spin, or a GPU."""
        return self.threads == 1 and self.provider == "cpu"


class Device(Facts):
    """A target's attached device, as `devices.health` reads it: what it is, and before and after the measuring.

    `error` says why there are no times from it, or why they count for nothing.
    """

    about: str = ""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    error: str = ""
    help: str = ""


class Emulated(Facts):
    """A file's scores on the test split on the instruction set of `cpu`; fields as in `ModelFile`."""

    path: str
    cpu: str
    runtime: Runtime
    versions: dict[str, str]
    scores: dict[str, float] = {}
    correct: str = ""
    resampled: list[float] = []
    agreement: float = 0.0
    """How alike its predictions and this machine's are on the test examples."""
    alike: str = "examples"
    """What `agreement` is the share of; empty where it is an R²."""
    drawn: int = 0
    bounds: dict[str, tuple[float, float, float]] = {}
    worst: tuple[str, int, int] | None = None
    error: str = ""
    """Why it does not run there."""


class Preprocessing(Facts):
    """The work before each inference, timed on this machine on one thread: seconds of CPU time, `[example]`.

    `read` is an image file to pixels of the model's size, and empty for other data; `ready` is raw values to those
    that a float model takes, which a model with an input of uint8 does itself. Of a detector `decode` is the work after
    it: raw outputs to boxes, non-maximum suppression included.
    """

    read: list[float]
    ready: list[float]
    decode: list[float] = []


class Picture(Facts):
    """A test example as a small PNG: the file at `path`, whose digest is `sha256`.

    `row` is its place in the test split, `label` its target in words, and `outputs` those of models by stage. With
    several `panels` the picture has them side by side; `colours` are those of the classes in them, as `#rrggbb`.
    """

    path: str
    sha256: str
    row: int
    label: str
    outputs: dict[str, str] = {}
    panels: list[str] = []
    colours: dict[str, str] = {}


class Machine(Facts):
    cpu: str
    architecture: str
    cores: int
    features: list[str]
    system: str


class Report(Facts):
    """Everything that the gate and the reports need; budgets are read anew from the target files."""

    version: Literal[1] = 1
    recipe: str
    source: str
    date: str
    limited: int | None
    machine: Machine
    versions: dict[str, str]
    data: dict[str, Any]
    reference: str | None
    """Name of the stage that accuracy drops are counted from."""
    metric: str = "accuracy"
    """What `keep` and the stage table count in."""
    lower_is_better: bool = False
    """Of a metric of the user's own; `metrics.METRICS` has the others."""
    constant: float | None = None
    """Of an error, its value for a model that always answers with the mean of the labels: what near zero is beside."""
    groups: list[int] = []
    """Of each test example the group, from 0, where the data has groups: intervals are then over these."""
    keep: float | None
    """The recipe's own `keep: {metric_drop: …}`: points, or of an error the share that it may grow by."""
    targets: list[str]
    """Paths of the target files."""
    stages: list[StageFacts]
    samples: list[Samples]
    """First what measured targets judge, beside their pinned references; then every stage's file for this machine,
    interleaved in the same processes. A judged file is in both."""
    accepted: dict[str, ModelFile] = {}
    """By target, the file that the last one is not to fall behind; its times are in `samples`."""
    preprocessing: Preprocessing | None = None
    emulated: dict[str, list[Emulated]] = {}
    """By target."""
    devices: dict[str, Device] = {}
    """By target, the devices that were asked."""
    pictures: list[Picture] = []
    """Test examples that the result gets wrong, the worst first; none with `--no-pictures`."""
    references: list[Samples]
    """The judged files and the reference models that device estimates rest on, one thread each."""

    @property
    def error(self) -> bool:
        """Tell whether the metric is an error, which grows by percent; a share falls by points."""
        from .metrics import METRICS

        return self.lower_is_better or (self.metric in METRICS and not METRICS[self.metric].higher)

    @property
    def points(self) -> float:
        """Return what a difference of 1 of the metric is in points: 100 of a share, 1 of decibels."""
        from .metrics import points_of

        return points_of(self.metric)

    @property
    def drop_unit(self) -> Literal["percent", "points", "decibels"]:
        """Return the unit that the metric falls in: an error grows by percent."""
        return "percent" if self.error else "points" if self.points > 1 else "decibels"
