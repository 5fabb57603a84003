"""The command line: every way to end has its code, and no mistake shows a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from edgepress.commands import exit_codes
from edgepress.config import recipe
from edgepress.engine.cache import Cache
from edgepress.engine.engine import Engine
from edgepress.engine.lock import write

from tests.conftest import LIGHT, Place, edgepress, laid_out
from tests.engine.test_engine import Quiet

ROOT = Path(__file__).parents[2]


def start(place: Place, *options: str) -> subprocess.Popen[str]:
    """`edgepress run` as a process of its own."""
    command = [sys.executable, "-m", "edgepress", "run", "recipe.yaml", "--cache", "cache", "--runs", "runs", *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=place.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def checkpoints(place: Place) -> list[Path]:
    return list(place.cache.glob("work/*/scratch/checkpoint.pt"))


@pytest.mark.slow
def test_stopped_twice_and_ends_as_one_never_stopped(tmp_path: Path) -> None:
    """^C in an early epoch, then a kill that nothing can catch, then to the end: the lock is the same bytes."""
    whole = laid_out(tmp_path / "whole", LIGHT)
    engine = Engine(recipe.load(whole.recipe), Cache(whole.cache))
    engine.run(Quiet())
    write(engine, tmp_path / "runs")

    place = laid_out(tmp_path / "stopped", LIGHT)
    first = start(place)
    until(lambda: checkpoints(place), first)
    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=60)
    assert first.returncode == 130, (out, err)
    assert err.splitlines()[-1] == "interrupted; the same command continues from here"
    assert not place.lock.exists()

    (checkpoint,) = checkpoints(place)
    before = checkpoint.stat().st_mtime_ns
    second = start(place)
    until(lambda: checkpoint.exists() and checkpoint.stat().st_mtime_ns > before, second)
    second.send_signal(signal.SIGKILL)
    second.communicate(timeout=60)
    assert not place.lock.exists()
    assert len(checkpoints(place)) == 1, "it was killed while training"

    third = start(place)
    out, err = third.communicate(timeout=240)
    assert third.returncode == 0, (out, err)
    assert place.lock.read_bytes() == whole.lock.read_bytes()
    assert not checkpoints(place)


@pytest.mark.slow
def test_two_at_once_both_end_well(tmp_path: Path) -> None:
    place = laid_out(tmp_path, LIGHT)
    both = [start(place), start(place)]
    said = [process.communicate(timeout=240) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    made = [err for _, err in said if "base: cached" not in err]
    assert len(made) == 1, "the training was done once"
    assert not list(place.cache.glob("work/*"))


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ((), "Usage"),
        (("rum", "x"), "No such command"),
        (("run",), "Missing argument"),
        (("run", "nowhere"), "there is no recipe `nowhere`"),
        (("run", "mobilnet"), "did you mean `mobilenet`?"),
        (("run", "mobilenet", "--set", "stages.smal.ratio=1"), "did you mean `small`?"),
        (("plan", "mobilenet", "--set", "nothing"), "write `--set PATH=VALUE`"),
        (("ls", "mobilnet"), "did you mean `mobilenet`?"),
        (("show", "distil.kd"), "did you mean `distill.kd`?"),
        (("show", "host", "--set", "threads=2"), "`--set` is for recipes"),
        (("cp", "mobilnet", "x.yaml"), "did you mean `mobilenet`?"),
        (("cp", "mobilenet"), "Missing argument"),
        (("diff", "nowhere.yaml"), "there is no file"),
        (("diff", "targets/host.yaml"), "does not record its source"),
        (("new", "x", "--data", "digits"), "missing: `--target`, `--latency`, `--size`"),
        (("run", "nowhere.yaml"), "there is no file `nowhere.yaml`"),
        (("run", "."), "is a folder"),
        (("run", "mobilenet", "--limit", "1"), "--limit"),
        (("run", "mobilenet", "--limit", "many"), "--limit"),
        (("run", "mobilenet", "--speed", "9"), "--speed"),
        (("check", "nowhere.yaml"), "there is no file"),
        (("plan", "nowhere.yaml"), "there is no file"),
        (("validate",), "Missing argument"),
        (("validate", "nowhere.yaml"), "there is no file"),
        (("gc", "--days", "-1"), "--days"),
        (("gc", "--cache", "pyproject.toml"), "is a file"),
    ],
    ids=str,
)
def test_wrong_usage_is_two_without_a_traceback(
    arguments: tuple[str, ...], shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    said = edgepress(*arguments)
    assert said.code == 2, said
    assert shown in said.err
    assert "Traceback" not in said.out + said.err


@pytest.mark.parametrize("command", ["run", "plan", "validate", "check"])
@pytest.mark.parametrize(
    "text", ["", "[]", "name: [", "name: x\n", "a: &a 1\nb: *a\n", "\0", LIGHT.replace("digits", "digit")]
)
def test_a_wrong_recipe_is_two_without_a_traceback(command: str, text: str, tmp_path: Path) -> None:
    place = laid_out(tmp_path, text)
    said = edgepress(command, place.recipe)
    assert said.code == 2, said
    assert str(place.recipe) in said.err
    assert "Traceback" not in said.out + said.err


def test_a_file_that_does_not_fit_is_told_during_the_run(tmp_path: Path) -> None:
    text = "name: l\ntask: {data: digits}\nstages:\n  - {use: load, from: m.onnx}\ntargets: [desk.yaml]\n"
    place = laid_out(tmp_path, text)
    (tmp_path / "m.onnx").write_bytes(b"no model")
    said = place.run()
    assert said.code == 2
    assert f"{place.recipe}:4:11: " in said.err
    assert "m.onnx` is not" in said.err
    assert "Traceback" not in said.out + said.err


def test_help_and_version() -> None:
    said = edgepress("--help")
    assert said.code == 0
    for line in ("0  every required budget is met", "4  not decided", "130  interrupted"):
        assert line in said.out
    assert edgepress("--version").out.startswith("edgepress, version ")
    for command in ("run", "check", "plan", "validate", "gc", "ls", "show", "cp", "diff", "new"):
        assert edgepress(command, "-h").code == 0


def test_a_crash_is_three_and_names_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("the message\nmore")

    place = laid_out(tmp_path, LIGHT)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("edgepress.engine.setup.load_dataset", broken)
    said = place.run()
    assert said.code == 3
    assert "edgepress crashed: ZeroDivisionError: the message\n" in said.err
    assert "Traceback" not in said.err
    (log,) = tmp_path.glob("edgepress-*.log")
    assert str(log) in said.err
    text = log.read_text()
    assert "Traceback (most recent call last)" in text
    assert "in broken" in text
    assert text.startswith("edgepress ")


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemError, EOFError])
def test_interrupted_in_this_process(
    stop: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: object, **options: object) -> None:
        raise stop

    place = laid_out(tmp_path, LIGHT)
    monkeypatch.setattr("edgepress.engine.setup.load_dataset", stopped)
    said = place.run()
    assert said.code == (130 if stop is KeyboardInterrupt else 3)
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "arguments",
    ["--help", "plan recipe.yaml", "validate recipe.yaml", "ls", "run recipe.yaml 2>&1", "check nowhere.yaml 2>&1"],
)
def test_a_reader_that_leaves_is_no_crash_and_no_verdict(arguments: str, tmp_path: Path) -> None:
    place = laid_out(tmp_path, LIGHT)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    # `true` has ended before anything is written.
    command = f"(sleep 0.3; {sys.executable} -m edgepress {arguments}; echo $? >code) | true"
    done = subprocess.run(
        ["bash", "-c", command], cwd=place.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert (place.folder / "code").read_text() == "141\n"
    assert [line for line in done.stderr.splitlines() if not line.startswith("note: takes about")] == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("arguments", [["ls"], ["validate", "recipes/sensor.yaml"], ["show", "sensor"]])
def test_a_full_disk_is_no_bug_of_ours(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "edgepress", *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2, done.stderr
    assert "cannot be written: No space left on device" in done.stderr
    assert "bug" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_pipe_is_told_apart_however_it_is_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    def exporter(*arguments: object) -> None:
        try:
            raise BrokenPipeError(32, "Broken pipe")
        except OSError as error:
            raise RuntimeError("the exporter failed") from error

    monkeypatch.setattr(sys, "argv", ["edgepress"])
    with pytest.raises(BrokenPipeError):
        exit_codes._run(click.Command("run", callback=exporter))


def test_collecting_says_what_it_freed(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    cache.make({"a": 1}, lambda folder, scratch: {"bytes": (folder / "m").write_bytes(b"x" * 2000)})
    assert edgepress("gc", "--cache", cache.root).out == "deleted 0 results, 0 B\n"
    said = edgepress("gc", "--cache", cache.root, "--days", 0)
    assert said.out.startswith("deleted 1 result, 2.")
    assert not list((cache.root / "entries").iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["validate", "mobilenet", "targets/host.yaml"],
        ["ls"],
        ["show", "mobilenet"],
        ["cp", "mobilenet", "{folder}/mine.yaml"],
        [
            "new",
            "n",
            "--data",
            "digits",
            "--target",
            "host",
            "--latency",
            "1 ms",
            "--size",
            "1 MB",
            "--folder",
            "{folder}",
        ],
    ],
    ids=lambda arguments: arguments[0],
)
def test_only_running_needs_torch(arguments: list[str], tmp_path: Path) -> None:
    given = [argument.format(folder=tmp_path) for argument in arguments]
    code = (
        "import sys; from click.testing import CliRunner; from edgepress.commands.main import cli; "
        f"found = CliRunner().invoke(cli, {given}, standalone_mode=False); "
        "assert found.return_value == 0, found; "
        "heavy = ('torch', 'onnx', 'onnxruntime', 'scipy', 'timm', 'numpy', 'rich'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
