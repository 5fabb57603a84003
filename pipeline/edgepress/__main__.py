"""`python -m edgepress` is `edgepress`, but for a folder that has an `edgepress` of its own: Python takes that one."""

import sys
from pathlib import Path

# Python looks in the working folder first, where a `json.py` of the user's may lie.
if not sys.flags.safe_path and Path(sys.path[0]).resolve() != Path(__file__).resolve().parents[1]:
    del sys.path[0]

from .commands.main import main

main()
