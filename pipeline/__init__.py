"""edgepress: one recipe turns trained knowledge into a model that fits a device, and one verdict says whether it does."""

__version__ = "0.1.0"
