"""Validate names of results, recipes and networks."""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from . import paths
from .errors import Mistake

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


def valid(text: str) -> str:
    """Return `text`, if it can be a name. Raises: Mistake."""
    if re.fullmatch(_NAME, text) is None:
        raise Mistake("this cannot be a name", "up to 64 letters, digits, `-`, `_` and `.`; a letter or digit first")
    return text


Name = Annotated[str, AfterValidator(valid), WithJsonSchema({"type": "string", "pattern": f"^{_NAME}$"})]
"""A name that is also safe as the name of a file or a folder."""

ZOO = paths.SHIPPED / "timm-models.txt"
TORCHVISION = paths.SHIPPED / "torchvision-models.txt"


@cache
def zoo() -> frozenset[str]:
    """Return the names of timm's networks, from a generated list whose first line is timm's version:
    importing timm itself takes seconds."""
    _, *names = ZOO.read_text(encoding="utf-8").splitlines()
    return frozenset(names)


@cache
def torchvision() -> frozenset[str]:
    """Return the names of torchvision's classifiers, and of `segmentation/NAME`, from a generated list as well."""
    _, *names = TORCHVISION.read_text(encoding="utf-8").splitlines()
    return frozenset(names)
