"""Import packages, and call what shows that they work; a process of its own, since one may end it.

`installation_probe.py JSON`, where JSON has a module, or a runtime's loader `API:MODULE`, for each distribution. Prints
a line of JSON for each: the distribution, and the error or an empty text.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from contextlib import suppress
from typing import Any

NO_MODEL = b"\0" * 64


def main(text: str) -> None:
    """Try each distribution, in the order of `text`."""
    out = os.fdopen(os.dup(1), "w")  # packages print at will
    os.dup2(2, 1)
    for name, loader in json.loads(text).items():
        api, _, module = loader.partition(":")
        try:
            used(api, importlib.import_module(module or api))
        except Exception as error:
            print(json.dumps([name, f"{type(error).__name__}: {error}"]), file=out, flush=True)
        else:
            print(json.dumps([name, ""]), file=out, flush=True)


def used(api: str, module: Any) -> None:
    """Call what a package does first of all."""
    if api == "onnxruntime":
        module.get_available_providers()
    elif api == "torch":
        module.zeros(2).numpy()
    elif api == "interpreter":
        with suppress(ValueError):  # that it is no model, which shows that the runtime works
            module.Interpreter(model_content=NO_MODEL)


if __name__ == "__main__":
    main(sys.argv[1])
