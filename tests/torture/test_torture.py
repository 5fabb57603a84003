"""Some inputs of each campaign, the same each time; `make torture` runs them all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import onnx
import pytest
from edgepress.models.tflite import convert

from tests.torture import store, undisturbed
from tests.torture.campaigns import hostile, networks
from tests.torture.ended import Ended, faults, names
from tests.torture.mutate import data, flatbuffer, proto, tree
from tests.torture.runner import ROOT

SOUND = Ended(0, "", "", 0.1, 0.1, 10)
QUICK = ("recipes=25", "reports=10", "onnx=5", "tflite=5", "signals=2")


def campaign(folder: Path, *names: str) -> None:
    """Run inputs of campaigns; time and memory are the business of a machine that does nothing else."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "pipeline"), str(ROOT)])}
    command = [sys.executable, "-m", "tests.torture", *names, "--jobs", "1", "--folder", str(folder), "--untimed"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_mutated_files(tmp_path: Path) -> None:
    campaign(tmp_path, *QUICK)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts file systems")
def test_kills_and_full_disks(tmp_path: Path) -> None:
    campaign(tmp_path, "kills=2", "disk=2", "permission=3", "memory=1")


@pytest.mark.parametrize(
    ("ended", "kinds"),
    [
        (SOUND, []),
        (Ended(3, "", "edgepress crashed: E: x", 1, 1, 1), ["crash"]),
        (Ended(-8, "", "", 1, 1, 1), ["signal"]),
        (Ended(130, "", "", 1, 1, 1), ["exit code"]),
        (Ended(2, "", "", 1, 1, 1), ["no message"]),
        (Ended(0, "", "Traceback (most recent call last):\n  x\nE: y", 1, 1, 1), ["traceback"]),
        (Ended(0, "", "", 11, 0.1, 1), ["hang"]),
        (Ended(0, "", "", 30, 0.1, 1, load=4), []),
        (Ended(0, "", "", 30, 11, 1, load=4), ["hang"]),
        (Ended(0, "", "", 1, 1, 2000), ["memory"]),
        (Ended(0, "a\x1b[31mb", "", 1, 1, 1), ["control character"]),
        (Ended(0, "", "x\n::error::y", 1, 1, 1), ["CI command"]),
    ],
)
def test_an_end_is_judged(ended: Ended, kinds: list[str]) -> None:
    assert [fault.kind for fault in faults(ended)] == kinds


def test_the_planted_cause_has_to_be_named() -> None:
    full = Ended(2, "", "error: `a` cannot be written: No space left on device", 1, 1, 1)
    assert names(full, "no space left") == []
    assert [fault.kind for fault in names(full, "permission")] == ["cause"]


def test_a_signal_is_heeded_in_time() -> None:
    late = Ended(130, "", "", 9, 1, 1, heeded=2.5)
    assert [fault.kind for fault in faults(late, (130,))] == ["unheeded"]


@pytest.mark.parametrize("name", hostile.TABLE)
def test_every_hostile_file_can_be_made_again(name: str) -> None:
    assert hostile.TABLE[name](Random(1)) == hostile.TABLE[name](Random(1))


@pytest.mark.parametrize("name", networks.TABLE)
def test_the_networks_are_sound(name: str) -> None:
    onnx.checker.check_model(networks.TABLE[name](), full_check=True)


def test_mutations_differ_and_can_be_made_again() -> None:
    content = networks.mlp().SerializeToString()
    lite = convert.write(networks.mlp(), {})
    value = {"a": [1, {"b": "c"}], "d": 2.5}
    for change in (
        lambda random: data.changed(content, random),
        lambda random: data.reworded("a: {b: 1, c: [x, y]}", random),
        lambda random: proto.changed(content, onnx.ModelProto, random),
        lambda random: flatbuffer.changed(lite, random),
        lambda random: tree.as_yaml(tree.changed(value, random), random),
        lambda random: repr(tree.numbers_changed(value, random)),
    ):
        found = [change(Random(number)) for number in range(20)]
        assert found == [change(Random(number)) for number in range(20)]
        assert len(set(found)) > 5


def test_what_is_left_and_what_differs_is_found(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        models = tmp_path / folder / "work" / "runs" / "r" / "models"
        models.mkdir(parents=True)
        (models / "m.onnx").write_bytes(b"m")
        (tmp_path / folder / "work" / "r.lock.yaml").write_text("same")
    mine, other = tmp_path / "a" / "work", tmp_path / "b" / "work"
    assert [*undisturbed.compare(mine, other, "r"), *undisturbed.leftovers(tmp_path / "a")] == []
    (mine / "runs" / "r" / "models" / "m.onnx").write_bytes(b"n")
    (mine / "runs" / ".report.json.x1y2").touch()
    found = [*undisturbed.compare(mine, other, "r"), *undisturbed.leftovers(tmp_path / "a")]
    assert [(fault.kind, fault.detail) for fault in found] == [
        ("differs", "models: m.onnx"),
        ("leftover", "work/runs/.report.json.x1y2"),
    ]


def test_half_a_line_of_an_interrupted_campaign_is_no_row(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    store.append(file, {"number": 1})
    with file.open("a", encoding="utf-8") as opened:
        opened.write('{"number": 2, "no')
    assert store.read(file) == [{"number": 1}]
    store.append(file, {"number": 3})
    assert store.read(file) == [{"number": 1}, {"number": 3}]
