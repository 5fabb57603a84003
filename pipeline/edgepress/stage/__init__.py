"""The contract of a stage: `contract` first, then what a stage gets and gives."""

from .artifact import MAIN_FILE, Artifact, Kind, Made
from .context import Context
from .contract import LIBRARIES, Family, Shrinks, Stage
from .lineage import Lineage, Setting

__all__ = [
    "LIBRARIES",
    "MAIN_FILE",
    "Artifact",
    "Context",
    "Family",
    "Kind",
    "Lineage",
    "Made",
    "Setting",
    "Shrinks",
    "Stage",
]
