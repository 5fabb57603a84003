"""List the image files of a folder, and count what is not read.

A reader passes nothing over in silence: whatever it leaves out is counted by suffix and reason.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from PIL import Image, ImageFile

from ..core import foreign
from .words import SHOWN, several

_SYSTEM = re.compile(
    r"__MACOSX|\._.*|\.DS_Store|\.AppleDouble|\.Spotlight-V100|\.Trash.*|\.fseventsd|Thumbs\.db|ehthumbs.*\.db"
    r"|desktop\.ini|\$RECYCLE\.BIN|System Volume Information|@eaDir|lost\+found",
    re.IGNORECASE,
)
"""What operating systems and archives put beside the user's files."""
HEIF = {".heic", ".heif", ".hif", ".heics", ".heifs"}
_OUTSIDE = {"EPS", "MPEG"}
"""Formats that Pillow opens and does not decode by itself: Ghostscript draws the one, nothing the other."""
_KINDS = r"(mask|seg|segmentation|gt|ground.?truth|label|annotation|depth)s?"
_MASK, MASKS = re.compile(rf"[ _.-]+{_KINDS}$", re.IGNORECASE), re.compile(_KINDS, re.IGNORECASE)
"""How the mask of `1.jpg` is called, `1_mask.png`, and a folder of masks."""
PHOTOS = re.compile(r"(image|img|photo|picture|jpe?g(image)?|rgb)s?", re.IGNORECASE)
"""How the folder beside a folder of masks is called."""
INSTALL = "`pip install pillow-heif` lets Pillow read them"
"""The next act about photos of iPhones."""


@cache
def suffixes() -> frozenset[str]:
    """Return the suffixes of what Pillow decodes, in lower case; with `pillow-heif` installed also its own."""
    if importlib.util.find_spec("pillow_heif"):
        importlib.import_module("pillow_heif").register_heif_opener()
    Image.init()
    stubs = {
        name
        for name, (opener, _) in Image.OPEN.items()
        if isinstance(opener, type) and issubclass(opener, ImageFile.StubImageFile)
    }
    decoded = set(Image.OPEN) - stubs - _OUTSIDE
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in decoded)


@dataclass
class Skipped:
    """Counts of the files and folders that are not read, by reason, then by suffix or name."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    odd: dict[str, list[str]] = field(default_factory=dict)
    """Names of what is no regular file, such as a pipe, by what it is."""
    unlisted: list[str] = field(default_factory=list)
    """Folders that cannot be listed, with the reason."""
    several: Counter[str] = field(default_factory=Counter)
    """By suffix, the files of which only the first picture is read."""

    def add(self, reason: str, kind: str, count: int = 1) -> None:
        if count:
            self.counts.setdefault(reason, Counter())[kind] += count

    def by_name(self, name: str, *, folder: bool = False) -> bool:
        """Count a file or folder that is hidden or the system's; tell whether it is one."""
        system = _SYSTEM.fullmatch(name) is not None
        if not system and not name.startswith("."):
            return False
        shown = "._*" if name.startswith("._") else name
        self.add("of the system" if system else "hidden", f"folder `{shown}`" if folder else f"`{shown}`")
        return True

    def no_file(self, path: Path) -> bool:
        """Note what cannot be opened without waiting, or at all; tell whether `path` is such a thing."""
        try:
            other = foreign.kind(path)
        except FileNotFoundError:
            other = "a link to nothing"
        except OSError as error:
            other = "a link that leads in a circle" if error.errno == errno.ELOOP else foreign.reason(error)
        if other:
            self.odd.setdefault(other, []).append(path.name)
        return other != ""

    def refused(self, error: OSError) -> None:
        """Count a folder that cannot be listed."""
        self.unlisted.append(f"{error.filename} ({(error.strerror or str(error)).lower()})")

    def notes(self, name: str) -> tuple[str, ...]:
        """Describe them in a line, if there are any: `60 are not read: 58 .heic (…); 2 .txt (…)`."""
        lines = []
        if self.counts:
            total = sum(counts.total() for counts in self.counts.values())
            groups = [f"{_listed(counts)} ({reason})" for reason, counts in self.counts.items()]
            lines.append(f"`{name}`: {total} {'are' if total > 1 else 'is'} not read: {'; '.join(groups)}")
        for other, names in sorted(self.odd.items()):
            are = f"{len(names)} are" if len(names) > 1 else "1 is"
            lines.append(f"`{name}`: {are} not read, being {other}: {several([f'`{odd}`' for odd in sorted(names)])}")
        if self.several:
            lines.append(f"`{name}`: the first picture alone is read of files with several: {_listed(self.several)}")
        return tuple(lines)


def _listed(counts: Counter[str]) -> str:
    rest = counts.total() - sum(count for _, count in counts.most_common(SHOWN))
    return ", ".join(f"{count} {kind}" for kind, count in counts.most_common(SHOWN)) + (f", {rest} more" * (rest > 0))


def kind(name: str) -> str:
    """Return how a file is counted: by its suffix."""
    stem, _, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if stem and suffix else "without suffix"


def folders(path: Path, skipped: Skipped) -> list[Path]:
    """List the folders in `path`, sorted; hidden ones and those of the system are left out, and counted."""
    names = next(os.walk(path, onerror=skipped.refused), ("", [], []))[1]
    return [path / name for name in sorted(names) if not skipped.by_name(name, folder=True)]


def images(folder: Path, skipped: Skipped, *, deep: bool = True) -> list[str]:
    """List image files, sorted, in `folder` and below it, or not below it; what is left out is counted.

    Paths are text: of a hundred thousand, objects take more time than all else that a warm `plan` does.
    """
    paths, waiting, known = [], [str(folder)], suffixes()
    for where in waiting:
        try:
            with os.scandir(where) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            skipped.refused(error)
            continue
        for entry in found:
            suffix = kind(entry.name)
            # Most are this, and a hundred thousand of them are asked no more: no system's name ends so.
            if suffix in known and not entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
                paths.append(entry.path)
            elif _is_folder(entry):
                if deep and not skipped.by_name(entry.name, folder=True):
                    if entry.is_symlink():
                        skipped.add("links to folders, which are not followed", "folder")
                    else:
                        waiting.append(entry.path)
            elif not skipped.by_name(entry.name):
                # The folder tells what most files are; the others take a `stat` each.
                if not entry.is_file(follow_symlinks=False) and skipped.no_file(Path(entry.path)):
                    continue
                if suffix in known or (suffix in HEIF and _is_jpeg(entry.path)):
                    paths.append(entry.path)
                else:
                    skipped.add(INSTALL if suffix in HEIF else "no suffix of an image", suffix)
    # As their parts are sorted: a folder's files stay together, though ` ` comes before `/`.
    return paths if len(waiting) == 1 else sorted(paths, key=lambda path: path.replace(os.sep, "\0"))


def below(path: str, root: Path) -> str:
    """Return how a path leads to its file from `root`, with `/`."""
    return path[len(str(root / "x")) - 1 :].replace(os.sep, "/")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False


def without_mask(name: str) -> str:
    """Return a file's name without what marks it as a mask: `1` of `1_mask`."""
    return name if name[-1:].isdigit() else _MASK.sub("", name)  # most are numbers, and no kind ends with one


def _is_jpeg(path: str) -> bool:
    """Tell whether Pillow decodes a `.heic` without its package, by the first bytes: many are JPEGs."""
    try:
        with Image.open(path):
            return True
    except (OSError, SyntaxError, ValueError):
        return False


def _stem(path: str) -> str:
    folder, _, name = path.rpartition(os.sep)
    return f"{folder}{os.sep}{without_mask(name.rpartition('.')[0]).lower()}"


def twins(paths: Sequence[str], root: Path) -> tuple[str, ...]:
    """Warn of files that differ in suffix alone, or in `_mask` and the like: one of the two may be no photo."""
    stems = list(map(_stem, paths))
    if len(set(stems)) == len(stems):
        return ()
    named: dict[str, list[str]] = {}
    for path, stem in zip(paths, stems, strict=True):
        named.setdefault(stem, []).append(path)
    pairs = [files for files in named.values() if len(files) > 1]
    first, second = (below(path, root) for path in pairs[0][:2])
    count = f"{len(pairs)} images have" if len(pairs) > 1 else "1 image has"
    return (
        f"`{root.name}`: {count} a twin of the same name, such as `{first}` and `{second}`; each file is read as an "
        "example: move masks and copies out of the folder",
    )
