"""Tell why options about targets cannot go together, or with what `from` names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .kinds import WHAT, Kind

if TYPE_CHECKING:
    from .source import Source

_OF_TARGETS = ("segmentation", "keypoints", "embedding", "image", "detection")
"""Tasks of which nothing is known without their targets."""
_FOLDERS = {"masks": "segmentation", "pictures": "image", "boxes": "detection"}
_NEEDS = {"segmentation": "`masks: ./masks`", "image": "`pictures: ./sharp`"}


def about_targets(source: Source) -> dict[str, str]:
    """Return the options that mean nothing to examples without targets, as they are written."""
    options = {name: name for name in ("masks", "pictures", "boxes", "flip_pairs") if getattr(source, name)}
    return options | ({"task": f"task: {source.task}"} if source.task in _OF_TARGETS else {})


def wrong_targets(source: Source) -> tuple[str, str] | None:
    """Return what is wrong, and the next act."""
    if source.labels == "none" and (wrong := _without_labels(source)):
        return wrong
    folders = [option for option in _FOLDERS if getattr(source, option)]
    if len(folders) > 1:
        return f"`{folders[0]}` and `{folders[1]}` are targets of two tasks", "take one of them out"
    implied = _FOLDERS[folders[0]] if folders else None
    if implied and source.task not in (implied, None):
        return f"`{folders[0]}` is for `task: {implied}`, and this is `{source.task}`", "take one of them out"
    if source.kind == "folder" and not implied and source.task in _NEEDS:
        return f"`task: {source.task}` needs a second folder", f"{_NEEDS[source.task]}, with files of the same names"
    readable: dict[Kind, tuple[str | None, ...]] = {
        "folder": ("single-label", "embedding", "detection", implied),
        "table": ("single-label", "multi-label", "regression", "embedding"),
    }
    if source.task and source.task not in readable.get(source.kind, (source.task,)):
        help = "an .npz with `x` and `y`, or a function of yours, gives its targets"
        return f"{WHAT[source.kind]} has no targets of `task: {source.task}`", help
    if source.flip_pairs and source.task not in ("keypoints", None):
        return f"`flip_pairs` is for `task: keypoints`, and this is `{source.task}`", "take it out"
    return None


def _without_labels(source: Source) -> tuple[str, str] | None:
    if source.kind == "table":
        return (
            "`labels: none` is for a folder of images and for an .npz, and `from` names a CSV",
            "name the folder of the images, or a function that returns `Examples(x, y, labelled=False)`",
        )
    for written in about_targets(source).values():
        return f"`labels: none` is for examples without targets, and `{written}` is about them", "take one out"
    return None
