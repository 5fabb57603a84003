"""Write `NAME.lock.yaml` beside the recipe: results, sources and versions.

The same run writes the same bytes.

A run with `--set` is not what the recipe says, and a recipe inside the installed package is nobody's to write beside:
their lock is in the run's folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..config.recipe import Recipe
from ..core import ownership, yamlio
from ..core.paths import SHIPPED, digest, replacing
from .engine import Engine

VERSION = 1
_TIMES = ("tried", "seconds")
"""Notes of quantizing that were measured here; what was chosen by them is kept."""


def path_of(recipe: Path) -> Path:
    return recipe.with_name(f"{recipe.stem}.lock.yaml")


def content(engine: Engine) -> dict[str, Any]:
    """Resolved options, digests and metrics of every stage of a finished run; no times and no paths."""
    recipe = engine.recipe
    stages = []
    for step in recipe.steps():
        result = engine.results[step.label]
        facts = result.facts
        stages.append(
            {
                "name": step.label,
                "use": step.stage.use,
                "options": step.stage.model_dump(mode="json", by_alias=True, exclude={"name", "use"}),
                "key": result.entry.key,
                "sha256": result.entry.facts["digests"],
                **({"code_sha256": code} if (code := result.entry.facts.get("code")) else {}),
                "parameters": facts.parameters,
                "macs": facts.macs,
                "files": {
                    file.precision: {
                        "bytes": file.bytes,
                        **{split: {k: round(v, 6) for k, v in found.items()} for split, found in file.scores.items()},
                    }
                    for file in facts.files
                },
                "notes": _rounded(facts.notes),
            }
        )
    changes = engine.recipe.document.changes
    return {
        **({"set": list(changes)} if changes else {}),
        "version": VERSION,
        "recipe": recipe.name,
        "recipe_sha256": digest(recipe.document.path),
        "task": recipe.task.model_dump(mode="json"),
        "data_sha256": engine.data.digest,
        "libraries": engine.versions,
        "machine": {"architecture": engine.machine.architecture, "presets": list(engine.presets)},
        "stages": stages,
    }


def where(recipe: Recipe, folder: Path) -> Path:
    """The lock file's path: beside the recipe, or in the run's `folder`. Raises: UserError for a file of another's."""
    source = recipe.document.path
    path = path_of(folder / source.name if _of_the_run(recipe) else source)
    return ownership.record(path, ownership.WRITTEN, "move it away, or give the recipe another name")


def write(engine: Engine, folder: Path) -> Path:
    """Write the lock file of a finished run: beside the recipe, or into the run's `folder`."""
    path, inside = where(engine.recipe, folder), path_of(folder / engine.recipe.document.path.name)
    note = "it is of this run alone" if _of_the_run(engine.recipe) else "commit it beside the recipe"
    if not _of_the_run(engine.recipe) and ownership.is_record(inside, ownership.WRITTEN):
        inside.unlink()  # of an earlier run with `--set`
    text = f"# Written by `edgepress run`; {note}.\n" + yamlio.dump(content(engine))
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return path


def _of_the_run(recipe: Recipe) -> bool:
    """Whether the lock is no lock of the recipe as it stands, or nobody's to write beside it."""
    document = recipe.document
    return bool(document.changes) or document.path.resolve().is_relative_to(SHIPPED.resolve())


def _rounded(value: Any) -> Any:
    """Floats to six decimals: what is below that is the processor's, not the model's; and no times, which vary."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items() if key not in _TIMES}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value
