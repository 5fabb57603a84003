"""Write a software bill of materials: CycloneDX 1.6, https://cyclonedx.org/docs/1.6/json/."""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import quote

from ... import __version__
from ...config.recipe import Recipe
from ...core.results import ModelFile, Report

VERSION = "1.6"


def text(report: Report, recipe: Recipe, file: ModelFile, contract: dict[str, Any]) -> str:
    """Return the JSON of a model's bill: the model, its data, and the libraries of the run that made it."""
    libraries = [_library(name, version) for name, version in sorted(report.versions.items())]
    data: dict[str, Any] = {
        "type": "data",
        "bom-ref": "data",
        "name": str(report.data.get("name", "data")),
        "properties": [{"name": "edgepress:data:sha256", "value": str(report.data["sha256"])}],
        **_licence(recipe.card.data),
    }
    model = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": recipe.name,
        "version": file.sha256[:12],
        "hashes": [{"alg": "SHA-256", "content": file.sha256}],
        **_licence(recipe.card.weights),
        "modelCard": {
            "modelParameters": {
                "task": contract["task"],
                "datasets": [{"ref": "data"}],
                "inputs": [{"format": _format(entry)} for entry in contract["inputs"]],
                "outputs": [{"format": _format(entry)} for entry in contract["outputs"]],
            },
            **({"considerations": {"useCases": [recipe.card.intended_use]}} if recipe.card.intended_use else {}),
        },
        "properties": [
            {"name": "edgepress:recipe:sha256", "value": str(report.data["recipe_sha256"])},
            {"name": "edgepress:precision", "value": file.precision},
        ],
    }
    bill = {
        "$schema": f"http://cyclonedx.org/schema/bom-{VERSION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": VERSION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'edgepress:{recipe.name}:{file.sha256}')}",
        "version": 1,
        "metadata": {
            "timestamp": report.date,
            "tools": {"components": [{"type": "application", "name": "edgepress", "version": __version__}]},
            "component": model,
        },
        "components": [data, *libraries],
        "dependencies": [{"ref": "model", "dependsOn": ["data", *(library["bom-ref"] for library in libraries)]}],
    }
    return json.dumps(bill, indent=1) + "\n"


def _library(name: str, version: str) -> dict[str, str]:
    purl = f"pkg:pypi/{name}@{quote(version, safe='')}"  # such as `+cpu` of a local version
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _licence(name: str | None) -> dict[str, Any]:
    """Return the licence by its name, which need not be one of SPDX; nothing where it is not known."""
    return {"licenses": [{"license": {"name": name}}]} if name else {}


def _format(entry: dict[str, Any]) -> str:
    return f"{entry['dtype']} {entry.get('shape', '')} {entry.get('layout', '')}".rstrip()
