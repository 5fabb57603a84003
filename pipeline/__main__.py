"""`python -m pipeline` is `edgepress`."""

from .cli import main

main()
