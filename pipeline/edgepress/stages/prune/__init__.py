"""Prune networks: `prune.*`."""

from .channels import PruneChannels
from .finetune import Finetune

__all__ = ["Finetune", "PruneChannels"]
