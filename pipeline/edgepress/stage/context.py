"""Define the surroundings of a running stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.presets import PresetName
from ..core.user_code import Code
from ..models.description import NO_CODE

if TYPE_CHECKING:
    import numpy as np

    from ..core.metric import Metric
    from ..data.dataset import Dataset


@dataclass(frozen=True)
class Context:
    """The surroundings of a running stage.

    Attributes:
        folder: where the stage writes its files; published as a whole, or not at all.
        scratch: kept when the run is killed, so that a long stage can go on where it stopped.
        data: the recipe's data set.
        metric: the metric that scores models.
        seed: the recipe's seed.
        source: the recipe file, for paths beside it.
        presets: the integer presets that the recipe's targets need, the host's first.
        host: the preset of this machine, for which its own times count.
        floor: the metric on validation that the recipe's `keep` asks for, in points, an error times 100; or None.
        before: the metric on validation of the stage's input, where that is a file.
        marks: the reference outputs on the validation examples for the metric `agreement`, once there are any.
        say: takes (steps done, steps in all, a few words) as often as a stage likes.
        derive: `derive(key, make)` is the folder of a cached by-product, such as a teacher's logits.
        code: the user's functions that the recipe names, which build the networks of theirs.
    """

    folder: Path
    scratch: Path
    data: Dataset
    metric: Metric
    seed: int
    source: Path
    presets: tuple[PresetName, ...]
    say: Callable[[int, int, str], None]
    derive: Callable[[dict[str, Any], Callable[[Path], None]], Path]
    code: Code = NO_CODE
    host: PresetName | None = None
    floor: float | None = None
    marks: np.ndarray | None = None
    before: float | None = None
