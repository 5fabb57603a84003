"""Train networks: `examples`, `schedule`, and the one `loop`."""

from .examples import Examples, Rows, generator
from .inference import logits, reestimate
from .loop import Loss, fit, seeded
from .schedule import Schedule

__all__ = ["Examples", "Loss", "Rows", "Schedule", "fit", "generator", "logits", "reestimate", "seeded"]
