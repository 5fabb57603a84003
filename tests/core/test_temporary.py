"""Temporary files of a killed process go with the next one; those of a living one, and the user's own, stay."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from edgepress.core import child_processes, temporary
from edgepress.core.paths import replacing

WRITER = """
import sys, time
from pathlib import Path
from edgepress.core import temporary
from edgepress.core.paths import replacing
with temporary.root(), replacing(Path(sys.argv[1])) as file:
    file.write_text("half")
    Path(sys.argv[2]).write_text("here")
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    temporary._sweep_once.cache_clear()


def started(tmp_path: Path) -> subprocess.Popen[bytes]:
    """A process that is writing `a.txt`."""
    arguments = [sys.executable, "-c", WRITER, str(tmp_path / "a.txt"), str(tmp_path / "signal")]
    writer = subprocess.Popen(arguments)
    while not (tmp_path / "signal").exists():
        time.sleep(0.01)
    return writer


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"tmp", "signal"}


def test_what_a_killed_process_left_goes_with_the_next(tmp_path: Path) -> None:
    writer = started(tmp_path)
    assert len(names(tmp_path)) == len(names(tmp_path / "tmp")) == 1
    with temporary.root(), replacing(tmp_path / "b.txt") as file:
        file.write_text("whole")
        assert len(names(tmp_path / "tmp")) == 2, "the living one's stays"
    assert len(names(tmp_path)) == 2
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    temporary._sweep_once.cache_clear()
    with temporary.root(), replacing(tmp_path / "b.txt") as file:
        file.write_text("whole")
    assert names(tmp_path) == {"b.txt"}
    assert names(tmp_path / "tmp") == set()


def test_a_trial_folder_of_a_killed_process_goes_with_the_next_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    trial = (
        "import sys, time; from pathlib import Path; from edgepress.core import temporary\n"
        "with temporary.folder_in(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'inside').mkdir(); print(folder, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", trial, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        left = Path(process.stdout.readline().strip())
        with temporary.folder_in(tmp_path) as mine:
            assert left.is_dir()
            assert mine != left
        assert not mine.exists()
        process.kill()
    assert left.is_dir()
    temporary.sweep(tmp_path)
    assert not left.exists()


def test_only_names_of_its_own_are_deleted(tmp_path: Path) -> None:
    mine = {".a.txt.original", ".edgepress-notes.part", ".edgepress-abcdefgh.part2", ".report.json.abcd1234"}
    for name in mine:
        (tmp_path / name).write_text("mine")
    (tmp_path / ".edgepress-folder00.part").mkdir()
    (tmp_path / ".edgepress-abcdefgh.part").write_text("left over")
    os.symlink(tmp_path / ".a.txt.original", tmp_path / ".edgepress-symlink0.part")
    (tmp_path / "tmp" / "edgepress-abcdefgh.tmp" / "half-deleted").mkdir(parents=True)
    (tmp_path / "tmp" / "edgepress-abcdefgh.tmp.mine").mkdir()
    (tmp_path / "tmp" / "edgepress-crashlog.log").write_text("a crash")
    temporary.sweep(tmp_path)
    with temporary.root():
        pass
    assert names(tmp_path) == mine | {".edgepress-folder00.part", ".edgepress-symlink0.part"}
    assert names(tmp_path / "tmp") == {"edgepress-abcdefgh.tmp.mine", "edgepress-crashlog.log"}


def test_a_folder_of_an_earlier_version_is_known_by_its_own_lock(tmp_path: Path) -> None:
    former = tmp_path / "tmp" / "edgepress-abcdefgh.tmp"
    former.mkdir()
    with (former / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with temporary.root():
            assert former.exists()
    with temporary.root():
        assert not former.exists()


def test_a_folder_that_another_process_deletes_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    mkdtemp = tempfile.mkdtemp

    def swept(**names: Any) -> str:
        made.append(mkdtemp(**names))
        if len(made) == 1:
            os.rmdir(made[0])
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", swept)
    with temporary.root():
        assert tempfile.gettempdir() == made[1]


def test_the_temporary_files_of_a_process_and_its_children_are_in_one_folder(tmp_path: Path) -> None:
    before = dict(os.environ)
    with temporary.root():
        tempfile.mkdtemp()
        code = "import tempfile; tempfile.mkstemp()"
        subprocess.run([*child_processes.PYTHON, "-c", code], check=True)
        (root,) = (tmp_path / "tmp").iterdir()
        assert len(list(root.iterdir())) == 2
    assert dict(os.environ) == before
    assert names(tmp_path / "tmp") == set()
    assert tempfile.gettempdir() == str(tmp_path / "tmp")


def test_without_a_folder_for_temporary_files_the_work_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with temporary.root():
        pass


def fail(path: Path) -> None:
    with temporary.root(), replacing(path) as file:
        file.write_text("half")
        raise RuntimeError


def test_a_failed_writer_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        fail(tmp_path / "a.txt")
    assert names(tmp_path) == names(tmp_path / "tmp") == set()
