"""Check and load the user's functions, `./my_model.py:build`.

They are checked without being run, and run because the recipe names them.

A file is read once for a run: what was digested for the cache is what runs, whatever is saved in the meantime.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.abc import InspectLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from pydantic import ValidationInfo

from . import foreign
from .document import Document
from .errors import Mistake, OwnCodeError, UserError, suggest
from .former_names import allow

WRITTEN = r"^[^:\n]+\.py:[A-Za-z_]\w*$"
"""How a recipe names one."""


_LARGEST = 10_000_000
"""Bytes of a file of Python."""


def is_function(text: str) -> bool:
    return ".py:" in text


def parts(text: str) -> tuple[str, str]:
    """Return the file and the function of `./my_model.py:build`."""
    file, _, name = text.rpartition(":")
    return file, name


def missing(text: str, base: Path) -> tuple[str, str] | None:
    """Return what is wrong with `text`, and the next act, as far as parsing the file shows; nothing is run."""
    file, name = parts(text)
    path = base / file
    if wrong := foreign.refused(file, path):
        return wrong
    if not path.is_file():
        known = [script.name for script in path.parent.glob("*.py")] if path.parent.is_dir() else []
        act = suggest(path.name, known, "a path counts from the recipe's folder")
        return foreign.missing(path, file, act)
    return undefined(path, name)


def there(text: str, info: ValidationInfo) -> str:
    """Validate with pydantic that the function is there; only a recipe knows the folder that a path counts from."""
    recipe = info.context
    if isinstance(recipe, Document) and not recipe.loose and (wrong := missing(text, recipe.path.parent)):
        raise Mistake(*wrong)
    return text


def undefined(path: Path, name: str) -> tuple[str, str] | None:
    """Return the same for the function `name` of a file that is there."""
    try:
        known = set(_bound(ast.parse(_read(path)).body))
    except UserError as error:
        return error.problems[0].message, error.problems[0].help
    except (MemoryError, RecursionError):
        return f"`{path.name}` is nested too deeply to be parsed", "is it a file of Python that people wrote?"
    except (SyntaxError, ValueError) as error:
        place = f"{path}:{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else f"{path}"
        return f"`{path.name}` failed: {type(error).__name__}: {getattr(error, 'msg', error)}", f"at {place}"
    if name in known or "*" in known:
        return None
    return f"`{path.name}` has no function `{name}`", suggest(
        name, {function for function in known if function[0] != "_"}
    )


def _read(path: Path) -> bytes:
    return foreign.read(path, _LARGEST, "a file of Python")


def _bound(body: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names that a module binds, `*` for those it takes over from another."""
    waiting = list(body)  # and no recursion, which a sum of a thousand terms would exhaust
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif not isinstance(node, ast.Lambda):
            waiting += ast.iter_child_nodes(node)


@dataclass(frozen=True)
class Function:
    """A function by its name in a file whose bytes are `source`."""

    path: Path
    name: str
    source: bytes = field(repr=False)

    @classmethod
    def read(cls, text: str, base: Path) -> Function:
        """Read the function that a recipe in the folder `base` calls `text`. Raises: OwnCodeError."""
        if wrong := missing(text, base):
            raise OwnCodeError(*wrong)
        file, name = parts(text)
        return cls.at(base / file, name)

    @classmethod
    def at(cls, path: Path, name: str) -> Function:
        """Read the function `name` of the file at `path`. Raises: UserError."""
        return cls(path, name, _read(path))

    @property
    def about(self) -> str:
        return f"`{self.name}` of `{self.path.name}`"

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the file."""
        return hashlib.sha256(self.source).hexdigest()

    @cached_property
    def called(self) -> Callable[..., Any]:
        """Return the function itself; its file is run for it. Raises: OwnCodeError."""
        module = _module(self.path, self.source)
        function = getattr(module, self.name, None)
        if not callable(function):
            known = [
                attribute
                for attribute, value in vars(module).items()
                if callable(value) and not attribute.startswith("_")
            ]
            raise OwnCodeError(f"`{self.path.name}` has no function `{self.name}`", suggest(self.name, known))
        typed: Callable[..., Any] = function
        return typed

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function. Raises: OwnCodeError, with the line, when it raises anything."""
        called = self.called
        try:
            return called(*args, **kwargs)
        except UserError:
            raise
        except Exception as error:
            raise theirs(error, self.path, self.about) from error


@dataclass(frozen=True)
class Code:
    """The functions that a recipe names, by their name there. No file of weights can have another one run."""

    functions: Mapping[str, Function] = field(default_factory=dict)

    @classmethod
    def read(cls, names: Iterable[str], base: Path) -> Code:
        return cls({name: Function.read(name, base) for name in sorted(set(names))})

    def __getitem__(self, name: str) -> Function:
        """Return the function that the recipe calls `name`. Raises: UserError for any other, which a file may name."""
        if name not in self.functions:
            raise UserError(
                f"the network is built by `{name}`, and only code that the recipe names is run",
                "if you trust that code, name it: `{use: load, from: …, model: ./my_model.py:build}`",
            )
        return self.functions[name]

    def blamed(self, error: Exception) -> OwnCodeError | None:
        """Return `error` as a mistake in one of these files, if it went through one."""
        for function in self.functions.values():
            if _lines(error, function.path):
                return theirs(error, function.path, f"`{function.path.name}`")
        return None


def theirs(error: Exception, path: Path, culprit: str) -> OwnCodeError:
    """Return the error of the user's code: where in their file, and the last line of what Python prints."""
    lines = _lines(error, path)
    place = f"{path}:{lines[-1]}" if lines else str(path)
    if isinstance(error, SyntaxError) and error.filename == str(path):
        place = f"{path}:{error.lineno}"
    help = f"at {place}"
    if isinstance(error, ModuleNotFoundError) and (path.parent / f"{error.name}.py").is_file():
        help += f"; only the file itself is read: put what it needs of `{error.name}.py` into it, or install that"
    lines_printed = [line for line in traceback.format_exception_only(error) if not line.startswith(" ")]
    return OwnCodeError(f"{culprit} failed: {lines_printed[0].strip().splitlines()[0]}", help)


def _lines(error: BaseException, path: Path) -> list[int]:
    """Return the lines of `path` that `error` went through, the innermost last."""
    frames = traceback.extract_tb(error.__traceback__)
    return [frame.lineno for frame in frames if frame.filename == str(path) and frame.lineno]


class _Read(InspectLoader):
    """Loader of bytes in memory: no cache of bytecode, which cannot tell two edits within a second apart."""

    def __init__(self, path: Path, source: bytes) -> None:
        self.path, self.source = path, source

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(self.source)

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.source, str(self.path))


def _module(path: Path, source: bytes) -> ModuleType:
    """Load the file as a module of a private name, so that it hides no other module."""
    name = "_edgepress_user_" + hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    loader = _Read(path, source)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None, "a path with a loader has a spec"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pydantic look their own module up
    try:
        allow(path, source)
        loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise theirs(error, path, f"`{path.name}`") from error
    return module
