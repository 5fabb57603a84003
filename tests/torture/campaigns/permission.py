"""Files and folders that cannot be read or written, or are of another kind: exit 2 names path and cause."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.torture import places, undisturbed
from tests.torture.bench import Bench
from tests.torture.ended import names
from tests.torture.runner import Fresh

DROPPED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")
"""Root without the right to read and write everything."""
DENIED = ("permission", "not readable")
RUN = ("run", "lite.yaml")
CHECK = ("check", "lite.yaml")


@dataclass(frozen=True)
class Planted:
    """`mode` of `path`, or another kind of file in its place; `words`, of which the message has one, and the path."""

    path: str
    mode: int | None = None
    kind: str = ""
    command: Sequence[str] = RUN
    words: Sequence[str] = DENIED
    finished: bool = False
    named: str = ""


FOLDER, FILE = (
    ("is a directory", "a folder", "not a file"),
    ("not a directory", "not a folder", "file exists", "a file"),
)
FAULTS = (
    Planted(".", 0o555, named=".edgepress"),
    Planted(".edgepress", 0o555, "folder"),
    Planted("runs", 0o555, "folder"),
    Planted("m.onnx", 0o000),
    Planted("x.npz", 0o000),
    Planted("dev.yaml", 0o000),
    Planted("lite.yaml", 0o000),
    Planted("m.onnx", 0o000, command=("why", "m.onnx")),
    Planted("m.onnx", 0o000, command=("bench", "m.onnx")),
    Planted("x.npz", 0o000, command=("plan", "lite.yaml")),
    Planted("dev.yaml", 0o000, command=("validate", "lite.yaml")),
    Planted("lite.yaml", 0o000, command=("validate", "lite.yaml")),
    Planted("runs/lite/report.json", 0o000, command=CHECK, finished=True),
    Planted("runs/lite", 0o000, command=CHECK, finished=True),
    Planted("runs/lite/report.json", 0o000, command=("accept", "lite.yaml"), finished=True),
    Planted("runs/lite/models", 0o555, finished=True),
    Planted("runs/lite", 0o555, finished=True),
    Planted("accepted", 0o555, "folder", ("accept", "lite.yaml"), finished=True),
    Planted(".", 0o555, command=("cp", "mobilenet", "c.yaml"), named="c.yaml"),
    Planted(
        ".", 0o555, "", (*CHECK, "--format", "junit=out.xml"), ("permission", "cannot be written"), True, "out.xml"
    ),
    Planted(".edgepress", kind="file", words=FILE),
    Planted("runs", kind="file", words=FILE),
    Planted("lite.lock.yaml", kind="folder", words=(*FOLDER, "not what edgepress wrote")),
    Planted("runs/lite/report.json", kind="folder", words=(*FOLDER, "not what edgepress wrote")),
    Planted("runs/lite/report.json", kind="folder", command=CHECK, words=(*FOLDER, "no run")),
    Planted("runs/lite/models", kind="file", words=FILE),
    Planted("m.onnx", kind="folder", words=FOLDER),
    Planted("x.npz", kind="folder", words=(*FOLDER, "no images", "no class", "empty")),
    Planted("dev.yaml", kind="folder", words=(*FOLDER, "no file")),
    Planted("lite.yaml", kind="folder", words=(*FOLDER, "no file")),
    Planted("m.onnx", kind="fifo", words=("fifo", "pipe", "regular")),
    Planted("x.npz", kind="fifo", words=("fifo", "pipe", "regular")),
    Planted("lite.yaml", kind="loop", words=("symbolic links", "no file")),
    Planted("m.onnx", kind="loop", words=("symbolic links", "no file", "no such file")),
)


def prepare(seeds: Path, runner: Fresh) -> None:
    places.finished(seeds, runner, "lite")


def trial(bench: Bench) -> None:
    planted = FAULTS[bench.number % len(FAULTS)]
    kind = planted.kind or f"mode {planted.mode:o}"
    bench.note = f"{planted.path} {kind}: {' '.join(planted.command)}"
    if planted.finished:
        shutil.copytree(bench.seeds / "lite" / "work", bench.work)
    else:
        places.lay_out(bench.work)
    path = bench.work / planted.path
    saved = _put(path, planted.kind, bench.folder / "saved")
    mode = path.stat().st_mode if planted.mode is not None else 0
    if planted.mode is not None:
        path.chmod(planted.mode)
    prefix = DROPPED if os.geteuid() == 0 else ()
    bench.run(*planted.command, prefix=prefix, judged={"codes": (2,), "timed": planted.command[0] != "run"})
    bench.blame(names(bench.endings[-1], *planted.words))
    bench.blame(names(bench.endings[-1], planted.named or Path(planted.path).name))
    if planted.mode is not None:
        path.chmod(mode)
    if planted.kind:
        _remove(path)
        if saved:
            shutil.move(bench.folder / "saved", path)
    if planted.command == RUN:
        bench.run(*RUN, judged={"codes": (0,), "timed": False}, wait=120)
        expected = bench.seeds / "lite" / "work"
        bench.blame([*undisturbed.compare(bench.work, expected, "lite"), *undisturbed.leftovers(bench.folder)])


def _put(path: Path, kind: str, saved: Path) -> bool:
    """Put another kind of file in the place of `path`; return whether something was there, which is now `saved`."""
    there = bool(kind) and path.exists()
    if there:
        shutil.move(path, saved)
    path.parent.mkdir(parents=True, exist_ok=True)
    makers: dict[str, Callable[[], object]] = {
        "folder": path.mkdir,
        "file": path.touch,
        "fifo": lambda: os.mkfifo(path),
        "loop": lambda: path.symlink_to(path.name),
    }
    if kind:
        makers[kind]()
    return there


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
