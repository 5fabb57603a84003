"""A function of the user's, `./my_data.py:load`; it is run because the recipe names it."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from ..errors import UserError, suggest
from . import Dataset
from .divide import SPLITS
from .examples import Examples
from .source import Source


def read(source: Source, path: Path) -> Examples | Dataset:
    """What the function returns when it is called with `args`. Raises: UserError."""
    name = source.source.rpartition(":")[2]
    module = _module(path)
    function = getattr(module, name, None)
    if not callable(function):
        known = [each for each, value in vars(module).items() if callable(value) and not each.startswith("_")]
        raise UserError(f"`{path.name}` has no function `{name}`", suggest(name, known))
    try:
        found = function(**source.args)
    except Exception as error:
        raise _theirs(error, path, f"`{name}` of `{path.name}`") from error
    if isinstance(found, Dataset):
        if lacking := [split for split in SPLITS if split not in found.splits or not len(found[split].y)]:
            raise UserError(f"`{source.source}` returned a Dataset without {', '.join(lacking)}")
        return found
    if not isinstance(found, Examples):
        raise UserError(
            f"`{source.source}` returned a {type(found).__name__}",
            "return pipeline.data.examples.Examples(x, y), or a pipeline.data.Dataset",
        )
    return found


def _module(path: Path) -> ModuleType:
    """The file as a module of a private name, so that it hides no other module."""
    name = "_edgepress_data_" + hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "a path that ends in .py has a loader"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pydantic look their own module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _theirs(error, path, f"`{path.name}`") from error
    return module


def _theirs(error: Exception, path: Path, what: str) -> UserError:
    """The user's own mistake: where in their file, and the last line of what Python prints."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    place = f"{path}:{lines[-1]}" if lines else str(path)
    if isinstance(error, SyntaxError) and error.filename == str(path):
        place = f"{path}:{error.lineno}"
    last = traceback.format_exception_only(error)[-1].strip()
    return UserError(f"{what} failed: {last}", f"at {place}")
