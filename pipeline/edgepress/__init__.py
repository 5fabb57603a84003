"""Compress models for edge devices by a recipe, and judge them by budgets."""

__version__ = "0.1.0"
