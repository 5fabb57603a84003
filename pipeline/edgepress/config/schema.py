"""What editors read: `python -m edgepress.config.schema` writes the JSON Schemas of recipes and targets,
`python -m edgepress.config.schema models` the names of timm's networks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ..core import names, paths
from ..core.units import like
from .recipe import Recipe
from .target import Target

FOLDER = Path(__file__).parents[3] / "schema"
MODELS: dict[str, type[BaseModel]] = {"recipe.json": Recipe, "target.json": Target}


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a file, with each option's description and its default as people write it."""
    written: dict[str, Any] = _written(model.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **written}


def _written(part: Any) -> Any:
    """Return `part` of a schema with defaults as text (`30%` for 0.3), and without titles, which repeat the names."""
    if isinstance(part, list):
        return [_written(item) for item in part]
    if not isinstance(part, dict):
        return part
    written = {key: _written(value) for key, value in part.items() if not (key == "title" and isinstance(value, str))}
    if isinstance(default := written.get("default"), (int, float)) and written.get("type") == "string":
        written["default"] = like(default, written["examples"][0])
    return written


def texts() -> dict[Path, str]:
    """Return the generated texts, by file."""
    return {FOLDER / name: json.dumps(schema(model), indent=2) + "\n" for name, model in MODELS.items()}


def networks() -> dict[Path, str]:
    """Return the lists of networks that recipes are checked against, from the installed timm and torchvision."""
    import timm
    import torchvision

    lists = {names.ZOO: (timm, timm.list_models()), names.TORCHVISION: (torchvision, _torchvision())}
    return {
        path: "\n".join([f"# {package.__name__} {package.__version__.partition('+')[0]}", *sorted(listed)]) + "\n"
        for path, (package, listed) in lists.items()
    }


def _torchvision() -> list[str]:
    from torchvision import models

    from ..models.detectors import TORCHVISION

    listed: list[str] = [*models.list_models(module=models), *models.list_models(module=models.quantization)]
    listed += [f"segmentation/{name}" for name in models.list_models(module=models.segmentation)]
    return [*listed, *(f"detection/{name}" for name in TORCHVISION)]


def main(arguments: list[str]) -> None:
    for path, text in (networks() if arguments == ["models"] else texts()).items():
        with paths.replacing(path) as file:
            file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
