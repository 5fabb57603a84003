"""Download a model file of Hugging Face: `hf://OWNER/REPO/FILE@REVISION`, by default of the branch `main`.

A commit is what it is. A branch or a tag may move, so the lock file of the recipe keeps the commit that its first run
has found, and later runs load that one; another revision in the recipe, or no lock file, finds it anew.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from ..core import system_errors, yamlio
from ..core.errors import UserError, first_line

PREFIX = "hf://"
NAME = re.compile(PREFIX + r"[\w.-]+/[\w.-]+(/[\w.+-]+)+\.(safetensors|pt|pth|onnx)(@[\w./+-]+)?")
REVISIONS = "loaded_revision"
"""The key of a lock's stage: name → commit."""
_COMMIT = re.compile("[0-9a-f]{40}")


def is_hub(name: str) -> bool:
    return name.startswith(PREFIX)


def is_file(name: str) -> bool:
    """Return whether `name` can be a file of a repository; none leads out of it."""
    return NAME.fullmatch(name) is not None and ".." not in name.split("/")


def suffix(name: str) -> str:
    return Path(name.partition("@")[0]).suffix


def pinned(name: str, recipe: Path) -> str:
    """Return the commit that the lock beside `recipe` keeps for `name`, or its own revision."""
    revision = name.partition("@")[2]
    lock = recipe.with_name(f"{recipe.stem}.lock.yaml")
    if _COMMIT.fullmatch(revision) or not lock.is_file():
        return revision
    try:
        stages: Any = yamlio.read(lock).data["stages"]
        kept = next(stage[REVISIONS][name] for stage in stages if name in stage.get(REVISIONS, {}))
    except (UserError, KeyError, TypeError, AttributeError, StopIteration):
        return revision  # whoever writes the lock reports what is wrong with it
    return kept if isinstance(kept, str) and _COMMIT.fullmatch(kept) else revision


@cache
def downloaded(name: str, revision: str) -> Path:
    """Return the file `name` of a revision, downloaded or from the cache of Hugging Face. Raises: UserError."""
    owner, repository, file = name.partition("@")[0].removeprefix(PREFIX).split("/", 2)
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        message = f"`{name}` is downloaded by the package `huggingface_hub`: {first_line(error)}"
        raise UserError(message, "`pip install 'edgepress[hf]'`") from error
    try:
        return Path(hf_hub_download(f"{owner}/{repository}", file, revision=revision or None))
    except Exception as error:  # of the connection, the repository, its revisions and files, or the disk
        system_errors.pass_on(error)
        short = Path(file).name
        raise UserError(
            f"`{name}` cannot be downloaded: {first_line(error)}",
            "check its name and revision; without a connection, download it elsewhere, `hf download "
            f"{owner}/{repository} {file}`, copy it beside the recipe, and write `from: {short}`",
        ) from error


def commit(path: Path) -> str:
    """Return the commit of a downloaded file: the cache has a folder for each."""
    parts = path.parts
    return parts[parts.index("snapshots") + 1] if "snapshots" in parts else ""
