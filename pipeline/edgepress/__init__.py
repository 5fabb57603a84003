"""edgepress: one recipe turns what models know into one that fits a device, and one verdict says whether it does."""

__version__ = "0.1.0"
