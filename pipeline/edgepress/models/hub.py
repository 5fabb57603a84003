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
        from huggingface_hub.utils import logging
    except ImportError as error:
        message = f"`{name}` is downloaded by the package `huggingface_hub`: {first_line(error)}"
        raise UserError(message, "`pip install 'edgepress[hf]'`") from error
    logging.set_verbosity_error()  # each further attempt would be a line
    try:
        return Path(hf_hub_download(f"{owner}/{repository}", file, revision=revision or None))
    except Exception as error:  # of the connection, the repository, its revisions and files, or the disk
        system_errors.pass_on(error)
        message, help = _refusal(error, f"{owner}/{repository}", file, revision)
        raise UserError(f"`{name}` cannot be downloaded: {message}", help) from error


def _refusal(error: Exception, repository: str, file: str, revision: str) -> tuple[str, str]:
    """Return what is wrong and the next act: Hugging Face answers with a status and a word, in lines of its own."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return "its terms are not accepted", f"accept them at https://huggingface.co/{repository}, then `hf auth login`"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"there is no repository `{repository}`, or it is private", "check its name; `hf auth login` opens yours"
    if isinstance(error, errors.RevisionNotFoundError):
        message = f"`{repository}` has no revision `{revision or 'main'}`"
        return message, "write a branch, a tag or a commit behind `@`, or none for `main`"
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return f"`{repository}` has no file `{file}` at that revision", "check the file's path in the repository"
    return first_line(error), (
        f"without a connection, download it elsewhere, `hf download {repository} {file}`, copy it beside the recipe, "
        f"and write `from: {Path(file).name}`"
    )


def commit(path: Path) -> str:
    """Return the commit of a downloaded file: the cache has a folder for each."""
    parts = path.parts
    return parts[parts.index("snapshots") + 1] if "snapshots" in parts else ""
