"""Write `NAME.lock.yaml` beside the recipe: results, sources and versions.

The same run writes the same bytes. The lock of a run with `--set`, or of a recipe inside the installed package, is in
the run's folder.

Training, calibration and a choice by time depend on the processor, so the lock names the one of its results; a choice
by time may come out otherwise on the same one, too. A run of the same sources whose results differ for these causes
leaves the lock as it is, and writes its own into the run's folder. What people commit then changes with its sources, or
when they delete it, and not with who runs the recipe. All results stay in one file, rather than those of quantizing
apart, since weights that are trained elsewhere differ too.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config.recipe import Recipe
from ..core import ownership, paths, yamlio
from ..core.errors import Problem, UserError
from ..core.machine import instructions
from ..core.paths import SHIPPED, digest, replacing
from ..models import hub, pretrained
from ..stage import Stage
from .engine import Engine
from .key import named_files

VERSION = 1
_SOURCES = ("recipe", "recipe_sha256", "task", "data_sha256", "libraries")
_STAGE_SOURCES = ("name", "use", "options", "code_sha256", "loaded_sha256")
_PROCESSOR = ("processor", "instructions")
_COPY = "the lock is written beside the recipe: copy that into another folder, `edgepress cp`"
_AWAY = "move it away, or give the recipe another name"
_AGAIN = "restore it from version control, or delete it: `edgepress run` writes it anew"


def path_of(recipe: Path) -> Path:
    return recipe.with_name(f"{recipe.stem}.lock.yaml")


def content(engine: Engine) -> dict[str, Any]:
    """Return the options, digests and metrics of every stage of a finished run; no times or paths."""
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
                **({"loaded_sha256": found} if (found := _loaded(step.stage, recipe)) else {}),
                **({hub.REVISIONS: commits} if (commits := _commits(step.stage, recipe)) else {}),
                "parameters": facts.parameters,
                "macs": facts.macs,
                "files": {
                    file.precision: {
                        "bytes": file.bytes,
                        **{split: {k: round(v, 6) for k, v in found.items()} for split, found in file.scores.items()},
                    }
                    for file in facts.files
                },
                "notes": _rounded(facts.notes, step.stage.timed),
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
        "machine": {
            "architecture": engine.machine.architecture,
            "processor": engine.machine.cpu,
            "instructions": instructions(engine.machine),
            "presets": list(engine.presets),
        },
        "stages": stages,
    }


def where(recipe: Recipe, folder: Path) -> Path:
    """Return the lock's path: beside the recipe, or in the run's `folder`. Raises: UserError for a foreign file."""
    source = recipe.document.path
    path = path_of(folder / source.name if _of_the_run(recipe) else source)
    read(ownership.record(path, ownership.WRITTEN, _AWAY))
    return path


def read(path: Path) -> dict[str, Any] | None:
    """Return the lock at `path`; None where there is none. Raises: UserError for one that is damaged."""
    if not path.is_file() or not path.stat().st_size:
        return None
    try:
        document = yamlio.read(path)
    except UserError as error:
        raise UserError([replace(problem, help=_AGAIN) for problem in error.problems]) from error
    lock = document.data
    stages = lock.get("stages") if isinstance(lock, dict) else None
    if not isinstance(stages, list) or not all(isinstance(stage, dict) for stage in stages):
        place = document.place(("stages",))
        raise UserError(Problem(f"`{path}` is damaged: it has no list of stages", _AGAIN, place))
    return lock


def destinations(recipe: Recipe, folder: Path) -> list[paths.Destination]:
    """Return where a lock must be written; one that is there may stay as it is. Raises: UserError as `where`."""
    path = where(recipe, folder)
    return [] if path.exists() else [paths.Destination(path.parent, _COPY, path)]


def write(engine: Engine, folder: Path) -> Path:
    """Write the lock file of a finished run: beside the recipe, or into the run's `folder`."""
    path, inside = where(engine.recipe, folder), path_of(folder / engine.recipe.document.path.name)
    lock = content(engine)
    by_time = [step.label for step in engine.recipe.steps() if step.stage.chooses_by_time]
    own = _of_the_run(engine.recipe) or _same_sources(path, lock, by_time)
    if own:
        path = ownership.record(inside, ownership.WRITTEN, _AWAY)
    elif ownership.is_record(inside, ownership.WRITTEN):
        inside.unlink()  # of an earlier run with `--set`, or on another processor
    note = "it is of this run alone" if own else "commit it beside the recipe"
    text = f"# Written by `edgepress run`; {note}.\n" + yamlio.dump(lock)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return path


def _of_the_run(recipe: Recipe) -> bool:
    """Return whether the lock belongs into the run's folder, not beside the recipe."""
    document = recipe.document
    return bool(document.changes) or document.path.resolve().is_relative_to(SHIPPED.resolve())


def _same_sources(path: Path, lock: dict[str, Any], by_time: Collection[str]) -> bool:
    """Return whether the lock at `path` has the sources of `lock`, and other results for a cause outside of them.

    The cause is another processor, or a stage of `by_time` whose key is the same and whose result is not. An older lock
    does not name its processor, and is written anew.
    """
    try:
        committed = read(path)
        if committed is None or _sources(committed) != _sources(lock):
            return False
        if any(committed["machine"][name] != lock["machine"][name] for name in _PROCESSOR):
            return True
        pairs = zip(committed["stages"], lock["stages"], strict=True)
        first = next(((old, new) for old, new in pairs if old != new), None)
        return first is not None and first[0]["key"] == first[1]["key"] and first[0]["name"] in by_time
    except (UserError, KeyError, TypeError, ValueError):
        return False


def _sources(lock: dict[str, Any]) -> list[Any]:
    """Return what a lock's results were made from."""
    return [
        *(lock[name] for name in _SOURCES),
        *([stage.get(name) for name in _STAGE_SOURCES] for stage in lock["stages"]),
    ]


def _loaded(stage: Stage, recipe: Recipe) -> list[str]:
    """Return the digests of the files that the stage's options name, and of weights beside them."""
    return [*named_files(stage, recipe.document.path).values()]


def _commits(stage: Stage, recipe: Recipe) -> dict[str, str]:
    """Return the commits of the files of Hugging Face that the stage's options name."""
    source = recipe.document.path
    return {name: hub.commit(pretrained.find(name, source)) for name in stage.files() if hub.is_hub(name)}


def _rounded(value: Any, timed: Collection[str]) -> Any:
    """Round floats to six decimals, below which is the processor's part, and leave out the keys `timed`, which vary."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(item, timed) for key, item in value.items() if key not in timed}
    return [_rounded(item, timed) for item in value] if isinstance(value, list | tuple) else value
