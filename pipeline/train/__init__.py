"""Training: what is seen (`examples`), how fast and how long (`schedule`), and the one loop (`loop`)."""

from .examples import Examples, Rows, generator
from .loop import Loss, fit, seeded
from .passes import logits, reestimate
from .schedule import Schedule

__all__ = ["Examples", "Loss", "Rows", "Schedule", "fit", "generator", "logits", "reestimate", "seeded"]
