"""Remember in the cache what takes a while to compute from the data, as JSON by what it is made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..core.paths import replacing
from ..core.system_errors import SystemFault


def remembered(cache: Path | None, material: object, make: Callable[[], Any]) -> Any:
    """Return what `make` returned for the same `material`, both plain JSON; a damaged note of it is made anew."""
    if cache is None:
        return make()
    path = cache / "remembered" / f"{hashlib.sha256(json.dumps(material).encode()).hexdigest()}.json"
    with suppress(OSError, ValueError):
        return json.loads(path.read_text(encoding="utf-8"))
    made = make()
    # A cache that cannot be written can be used; a run that has to write tells it.
    with suppress(SystemFault), replacing(path) as temporary:
        temporary.write_text(json.dumps(made), encoding="utf-8")
    return made
