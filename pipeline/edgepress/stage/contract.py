"""Define a stage: a frozen set of options and a method that runs it.

The fields are the recipe's options, so validation, defaults, JSON Schema, the cache key and the lock entry all come
from the class. Torch, onnx and the like are imported inside `run`, so that reading a recipe stays instant.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..core.errors import Rejection
from ..core.names import Name
from ..models.description import Network
from ..tasks import TASKS
from ..training.schedule import Schedule
from .artifact import Artifact, Kind, Made
from .context import Context
from .ignored import ignored
from .lineage import Setting

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..data.dataset import Dataset

Family = Literal["train", "load", "fuse", "distill", "prune", "export", "quantize", "convert"]
Shrinks = Literal["parameters", "bytes", "nonzero"]
LIBRARIES = (
    "ai-edge-litert", "litert-torch", "numpy", "onnx", "onnxruntime", "onnxscript", "onnxsim", "scikit-learn", "scipy",
    "timm", "torch", "torch-pruning",
)  # fmt: skip
"""What the lock of every recipe records. Another library stands in the locks of the recipes that use it, and in no
others: this row stays as it is, or every lock changes."""


class Stage(BaseModel, ABC):
    """Base of all stages.

    Class attributes:
        family: what kind of step it is, whatever its key in a recipe.
        takes: the kind of model it works on, by default the result above it; None when it starts from nothing or
            from the models that it names.
        gives: the kind it makes.
        names: its fields that name earlier results.
        named_kinds: the kinds that those may be.
        version: raised when the same options would give another result than before.
        libraries: the distributions whose version shapes the result: all that it imports, also one that only this
            stage needs. They enter its cache key, and the locks of the recipes that use it.
        per_preset: whether it makes a file for each of `Context.presets`.
        calibrated: whether it takes ranges of activations from examples.
        shrinks: what it promises to lower against its input, with a warning where it does not: `parameters`,
            `bytes`, `nonzero` (the weights that are not 0), or nothing.
        timed: the notes, at any depth, that are times: they vary from run to run and stay out of the lock.
        joins_networks: whether the result is several networks side by side.
        tries_input: whether `check_networks` tries the network of its input, which is then built also where the user's
            own function builds it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    family: ClassVar[Family]
    takes: ClassVar[Kind | None] = None
    gives: ClassVar[Kind] = "torch"
    names: ClassVar[tuple[str, ...]] = ()
    named_kinds: ClassVar[tuple[Kind, ...]] = ("torch",)
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch", "timm", "numpy")
    per_preset: ClassVar[bool] = False
    calibrated: ClassVar[bool] = False
    shrinks: ClassVar[tuple[Shrinks, ...]] = ()
    timed: ClassVar[tuple[str, ...]] = ()
    joins_networks: ClassVar[bool] = False
    tries_input: ClassVar[bool] = False

    use: str
    name: Name | None = Field(default=None, description="name of the result, for later stages")
    input: str | None = Field(default=None, description="name of the result to work on; by default the one above")

    @property
    def kind(self) -> Kind:
        """Return the kind of this very stage's result."""
        return self.gives

    def kind_with(self, named: Sequence[Kind]) -> Kind:
        """Return the kind of its result, when the models that it names are of these kinds."""
        return self.kind

    def named(self) -> list[tuple[tuple[str | int, ...], str]]:
        """Return every earlier result that the options name, with the path of the option."""
        references: list[tuple[tuple[str | int, ...], str]] = []
        for option in self.names:
            value = getattr(self, option)
            if isinstance(value, str):
                references.append(((option,), value))
            elif value is not None:
                references.extend(((option, index), reference) for index, reference in enumerate(value))
        return references

    def reject_input(self, source: Stage) -> tuple[str, str] | None:
        """Return why the result of `source`, though of the right kind, cannot be the input, and what to do; or None."""
        return None

    def files(self) -> list[str]:
        """Return the files that the options name, whose digests belong to the cache key."""
        return []

    def networks(self) -> list[Network]:
        """Return the networks that the options describe."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return [value for value in values if isinstance(value, Network)]

    def same_network_as(self) -> str | None:
        """Return the name of the source whose network the result has, `input` or a named one; None if it is another."""
        return None

    @property
    def chooses_by_time(self) -> bool:
        """Whether times that are measured while it runs decide on its result, so that another run may differ."""
        return False

    def reject(self, setting: Setting) -> Iterator[Rejection]:
        """Yield why its options cannot go with its sources, the data, or the targets.

        Called when a recipe is validated, with the facts that options tell, and once more before the first stage runs,
        with those of the data. A refusal that needs no model belongs here, and not into `run`.
        """
        source = setting.sources.get("input")
        if source and (reason := self.reject_input(source.stage)):
            yield Rejection(*reason, ("input",))
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Network):
                yield from value.reject_data(setting.data, name)
        for option, schedule in self.schedules():
            yield from schedule.reject_data(setting.data, *option)
        task = TASKS[setting.data.task] if setting.data.task else None
        for place, written in ignored(self.schedules(), task) if task and not task.lenient else ():
            message = f"`{written}` changes nothing: the losses of {setting.data.task} have no such term"
            yield Rejection(message, "take it out", place)

    def schedules(self) -> list[tuple[tuple[str, ...], Schedule]]:
        """Return the trainings that the options describe, the stage's own or those of an option."""
        values = [((name,), getattr(self, name)) for name in type(self).model_fields]
        own: list[tuple[tuple[str, ...], Schedule]] = [((), self)] if isinstance(self, Schedule) else []
        return own + [(option, value) for option, value in values if isinstance(value, Schedule)]

    def check_data(self, data: Dataset, source: Path) -> list[str]:
        """Raise UserError where the data does not go with the options, and return what to warn of there.

        Called for every stage before any runs, whether its result is in the cache or not; `source` is the recipe file.
        """
        task = TASKS[data.task]
        return [
            f"sets `{written}`, which changes nothing: the losses of {data.task} have no such term"
            for _, written in (ignored(self.schedules(), task) if task.lenient else ())
        ]

    def check_networks(self, networks: Mapping[str, nn.Module], example: tuple[Tensor, ...]) -> None:
        """Raise UserError where networks do not go together, such as layers that one of them does not have.

        Called before any stage runs: `networks` has those that its options describe, untrained, by option, and those
        of the results that it names, as far as options describe them; `example` is a batch of one.
        """

    @classmethod
    def summarize(cls, notes: dict[str, Any]) -> list[str]:
        """Make the report's lines from the notes, behind `Made.summary`.

        For lines that depend on what the engine adds to the notes, or that older cache entries shall have as well.
        """
        return []

    @classmethod
    def explain_loss(cls, notes: dict[str, Any], presets: Sequence[str]) -> str:
        """Explain by the notes, in a clause, why the files for `presets` lose more than `keep` allows."""
        return ""

    @abstractmethod
    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        """Make the artifact in `context.folder`.

        `inputs` holds the models named in the options under their names and, for a stage that takes a kind,
        the model to work on under `input`.
        """
