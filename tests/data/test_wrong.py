"""Everything that can be wrong with a user's data, and the exact words about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from edgepress.core import yamlio
from edgepress.core.errors import UserError
from edgepress.core.validation import validated
from edgepress.data.load import load_dataset
from edgepress.data.source import Source
from pydantic import BaseModel

from .wrong import WRONG


class Task(BaseModel):
    data: Source


def said(make: Callable[[Path], dict[str, Any]], folder: Path) -> str:
    """What is printed when a recipe in `folder` names the data that `make` puts there; nothing when it is read."""
    recipe = folder / "mine.yaml"
    recipe.write_text(f"data: {json.dumps(make(folder))}\n", encoding="utf-8")
    try:
        load_dataset(validated(yamlio.read(recipe), Task).data, base=folder)
    except UserError as error:
        return str(error).replace(f"{folder}/", "")
    return ""


@pytest.mark.parametrize("name", WRONG)
def test_wrong_data_is_told(name: str, tmp_path: Path) -> None:
    make, words = WRONG[name]
    assert said(make, tmp_path) == words
