"""The cache: whole or not at all, verified when read, made once by however many want it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from edgepress.core.errors import UserError
from edgepress.engine.cache import ENTRY, Cache, Entry, key_of

ROOT = Path(__file__).parents[2]
MATERIAL = {"stage": ["train", 1], "options": {"lr": 0.1}, "seed": 0}


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def maker(calls: list[Path], text: str = "weights") -> Callable[[Path, Path], dict[str, Any]]:
    def make(folder: Path, scratch: Path) -> dict[str, Any]:
        calls.append(folder)
        (folder / "model.bin").write_text(text)
        (folder / "more.bin").write_text(text * 2)
        return {"accuracy": 0.5, "calls": len(calls)}

    return make


def test_made_once_and_found_again(cache: Cache) -> None:
    calls: list[Path] = []
    assert cache.get(key_of(MATERIAL)) is None
    first, second = cache.make(MATERIAL, maker(calls)), cache.make(MATERIAL, maker(calls))
    assert len(calls) == 1
    assert first == second == cache.get(key_of(MATERIAL))
    assert (second.folder / "model.bin").read_text() == "weights"
    assert second.facts == {"accuracy": 0.5, "calls": 1}
    assert not list((cache.root / "work").iterdir())


@pytest.mark.parametrize(
    "damage",
    [
        "byte",
        "cut",
        "gone",
        "folder",
        "entry gone",
        "entry cut",
        "entry binary",
        "entry other json",
        "entry list",
        "facts",
    ],
)
def test_a_damaged_entry_is_not_there_and_is_made_anew(cache: Cache, damage: str) -> None:
    calls: list[Path] = []
    entry = cache.make(MATERIAL, maker(calls))
    file, stored = entry.folder / "model.bin", entry.folder / ENTRY
    content = stored.read_text()
    if damage == "byte":
        file.write_text("weighty")
    elif damage == "cut":
        file.write_text("weigh")
    elif damage == "gone":
        file.unlink()
    elif damage == "folder":
        file.unlink()
        file.mkdir()
    elif damage == "entry gone":
        stored.unlink()
    elif damage == "facts":
        stored.write_text(content.replace("0.5", "0.9"))
    else:
        stored.write_bytes(
            {
                "cut": content[: len(content) // 2].encode(),
                "binary": b"\xff\xfe\0",
                "other json": b"{}",
                "list": b"[1]",
            }[damage.removeprefix("entry ")]
        )
    assert cache.get(entry.key) is None
    again = cache.make(MATERIAL, maker(calls))
    assert len(calls) == 2
    assert cache.get(entry.key) == again
    assert (again.folder / "model.bin").read_text() == "weights"


def test_an_entry_under_another_key_is_not_there(cache: Cache) -> None:
    """One that was moved or copied there was made from something else, however sound its files are."""
    calls: list[Path] = []
    entry = cache.make(MATERIAL, maker([]))
    other = key_of(MATERIAL | {"seed": 1})
    shutil.copytree(entry.folder, entry.folder.with_name(other))
    assert cache.get(other) is None
    assert cache.get(entry.key) == entry
    again = cache.make(MATERIAL | {"seed": 1}, maker(calls))
    assert (len(calls), cache.get(other)) == (1, again)


def test_an_entry_that_does_not_list_its_files_or_nests_too_deep_is_not_there(cache: Cache) -> None:
    entry = cache.make(MATERIAL, maker([]))
    stored = json.loads((entry.folder / ENTRY).read_text())
    (entry.folder / ENTRY).write_text(json.dumps(stored | {"files": {}}))
    assert cache.get(entry.key) is None, "the model's digest would not be looked at"
    (entry.folder / ENTRY).write_text("[" * 10**5)
    assert cache.get(entry.key) is None


@pytest.mark.parametrize(
    "change",
    [
        {"stage": ["train", 2]},
        {"stage": ["other", 1]},
        {"options": {"lr": 0.2}},
        {"options": {"lr": 0.1, "wd": 0}},
        {"seed": 1},
        {"seed": "0"},
        {"more": None},
    ],
    ids=str,
)
def test_the_key_changes_with_each_ingredient(change: dict[str, Any]) -> None:
    assert key_of(MATERIAL | change) != key_of(MATERIAL)
    assert key_of(dict(reversed(MATERIAL.items()))) == key_of(MATERIAL), "their order is none"


def test_a_maker_that_fails_leaves_no_entry_and_keeps_its_scratch(cache: Cache) -> None:
    def failing(folder: Path, scratch: Path) -> dict[str, Any]:
        (folder / "model.bin").write_text("half")
        (scratch / "checkpoint").write_text("epoch 3")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        cache.make(MATERIAL, failing)
    assert cache.get(key_of(MATERIAL)) is None
    assert not list((cache.root / "entries").iterdir())

    def goes_on(folder: Path, scratch: Path) -> dict[str, Any]:
        assert not list(folder.iterdir()), "half-made files are gone"
        return {"from": (scratch / "checkpoint").read_text()}

    assert cache.make(MATERIAL, goes_on).facts == {"from": "epoch 3"}


SLOW = """
    import sys, time
    from pathlib import Path
    from edgepress.engine.cache import Cache

    def make(folder, scratch):
        with Path(sys.argv[2]).open("a") as log:
            log.write("making\\n")
        (folder / "model.bin").write_text("x" * 1000)
        time.sleep(float(sys.argv[3]))
        return {"ok": 1}

    entry = Cache(Path(sys.argv[1])).make({"a": 1}, make, "it")
    print(entry.facts["ok"])
"""


def process(cache: Cache, log: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(SLOW), str(cache.root), str(log), str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_two_processes_that_want_one_entry_make_it_once(cache: Cache, tmp_path: Path) -> None:
    log = tmp_path / "log"
    first = process(cache, log, 2)
    until(log.exists)
    second = process(cache, log, 2)
    said = [each.communicate(timeout=60) for each in (first, second)]
    assert said[0] == ("1\n", "")
    assert said[1][0] == "1\n"
    waited = rf"waiting for process {first.pid}, begun \d\d:\d\d:\d\d, which makes it; Ctrl-C gives up\n"
    assert re.fullmatch(waited, said[1][1]), said[1][1]
    assert log.read_text() == "making\n"


def test_a_killed_maker_leaves_no_entry_and_no_lock(cache: Cache, tmp_path: Path) -> None:
    log = tmp_path / "log"
    killed = process(cache, log, 600)
    until(log.exists)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    assert cache.get(key_of({"a": 1})) is None
    calls: list[Path] = []
    assert cache.make({"a": 1}, maker(calls)).facts["calls"] == 1


def test_what_a_maker_left_that_was_killed_once_its_entry_was_there_goes_with_the_next(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, **options: object) -> None:
        raise KeyboardInterrupt(path)

    calls: list[Path] = []
    with monkeypatch.context() as patch:
        patch.setattr("edgepress.engine.cache.shutil.rmtree", lambda path, **options: options or killed(path))
        with pytest.raises(KeyboardInterrupt):
            cache.make(MATERIAL, maker(calls))
    assert list((cache.root / "work").iterdir())
    assert cache.make(MATERIAL, maker(calls)).facts["calls"] == 1
    assert not list((cache.root / "work").iterdir())


def age(path: Path, days: float) -> None:
    then = time.time() - days * 86400
    os.utime(path, (then, then))


def test_collecting_deletes_what_was_not_used_and_what_was_left(cache: Cache) -> None:
    old, used, new = (cache.make({"n": n}, maker([])) for n in range(3))
    left = cache.root / "work" / ("d" * 64)
    (left / "scratch").mkdir(parents=True)
    (left / "scratch" / "checkpoint").write_text("x" * 100)
    age(old.folder, 40)
    age(used.folder, 40)
    age(left, 40)
    assert cache.get(used.key) == used, "reading it counts as use"
    count, freed = cache.collect(30)
    assert count == 2
    assert freed == 100 + sum(len(text) for text in ("weights", "weights" * 2)) + entry_size(old)
    assert [cache.get(each.key) is None for each in (old, used, new)] == [True, False, False]
    assert not left.exists()


def entry_size(entry: Entry) -> int:
    """Of `entry.json`; all entries of these tests differ in one digit only."""
    others = (entry.folder.parent).glob(f"*/{ENTRY}")
    return next(path.stat().st_size for path in others)


def test_collecting_spares_what_is_being_made(cache: Cache, tmp_path: Path) -> None:
    log = tmp_path / "log"
    running = process(cache, log, 4)
    until(log.exists)
    age(cache.root / "work" / key_of({"a": 1}), 400)
    assert cache.collect(30) == (0, 0)
    assert cache.collect(0) == (0, 0)
    assert running.communicate(timeout=60)[0] == "1\n"
    assert cache.get(key_of({"a": 1})) is not None


def test_collecting_in_a_folder_of_the_users_leaves_what_is_theirs(cache: Cache, tmp_path: Path) -> None:
    """`--cache .` in a project that has a folder `work` or `entries` of its own."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ENTRY).write_text("mine")
    theirs = ["entries/mine/x", "work/mine/x", "entries/file", f"entries/{'a' * 64}/x", f"work/{'a' * 64}/thesis.tex"]
    for name in theirs:
        path = cache.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
        age(path, 400)
        age(path.parent, 400)
    (cache.root / "entries" / ("b" * 64)).symlink_to(elsewhere)
    assert cache.collect(0) == (0, 0)
    assert all((cache.root / name).read_text() == "mine" for name in theirs)
    assert (elsewhere / ENTRY).is_file()


def test_collecting_where_nothing_is(cache: Cache) -> None:
    assert cache.collect(0) == (0, 0)


def test_an_entry_says_what_it_was_made_from_and_holds_no_paths(cache: Cache, tmp_path: Path) -> None:
    entry = cache.make(MATERIAL, maker([]))
    text = (entry.folder / ENTRY).read_text()
    assert json.loads(text)["material"] == MATERIAL
    assert str(tmp_path) not in text


@pytest.mark.parametrize("where", ["locks", "entries", "work", "entries/KEY", "work/KEY"])
@pytest.mark.parametrize("what", ["file", "dangling link"])
def test_what_is_no_folder_in_a_caches_place_is_told_before_anything_is_made(
    cache: Cache, where: str, what: str
) -> None:
    path = cache.root / where.replace("KEY", key_of({"a": 1}))
    path.parent.mkdir(parents=True)
    if what == "file":
        path.write_text("mine")
    else:
        path.symlink_to(cache.root / "nowhere")
    with pytest.raises(
        UserError, match=r"the cache's `.*` is not a folder|cannot be (used: Not a directory|a folder: File exists)"
    ):
        cache.make({"a": 1}, lambda folder, scratch: pytest.fail("nothing is to be made"))
    assert path.is_symlink() or path.read_text() == "mine"
