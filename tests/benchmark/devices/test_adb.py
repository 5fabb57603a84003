"""A phone over adb, against a real adbd, and what the programs that measure there say."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from edgepress.benchmark import paired
from edgepress.benchmark.devices import adb, android
from edgepress.benchmark.devices.connect import connect
from edgepress.benchmark.devices.transport import DeviceError, Done
from edgepress.benchmark.paired import Model
from edgepress.commands import doctor
from edgepress.core.results import Samples

from tests.conftest import Place, Said, edgepress

from . import phone as phones
from .phone import SERIAL, Phone

REACH = f"adb://{SERIAL}"
TFLITE = """\
STARTING!
Log parameter values verbosely: [0]
Num threads: [4]
Initialized session in 17.187ms.
Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
count=1 curr=3512391

Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
count=50 first=2990275 curr=2913402 min=2727568 max=3189954 avg=2.95034e+06 std=109798

Inference timings in us: Init: 17187, First inference: 3512391, Warmup (avg): 3.51239e+06, Inference (avg): 2.95034e+06
Memory footprint delta from the start of the tool (MB): init=4.21094 overall=46.0859
"""
NEWER = """\
I tflite  : count=5 first=249042 curr=250889 min=247067 max=254474 avg=211669 std=1442
I tflite  : count=25 first=187533 curr=140990 min=140071 max=195121 avg=145528 std=13583 p5=140545 median=141253 p95=187
I tflite  : Inference timings in us: Init: 92318, First inference: 187533, Warmup (avg): 211669, Inference (avg): 145528
I tflite  : Overall peak memory footprint (MB) via periodic monitoring: 73.5
"""
ONNX = """\
Setting intra_op_num_threads to 1
Session creation time cost: 0.217932 s
First inference time cost: 196 ms
Total inference requests: 5
Average inference time cost total: 98.961997 ms
Peak working set size: 271122432 bytes
Min Latency: 0.0958204 s
P50 Latency: 0.0995086 s
P90 Latency: 0.101519 s
"""


@pytest.mark.parametrize(
    ("said", "seconds", "load", "first", "memory"),
    [
        (TFLITE, 2.95034, 0.017187, 3.512391, int(46.0859 * 2**20)),
        (NEWER, 0.141253, 0.092318, 0.187533, int(73.5 * 2**20)),
        (ONNX, 0.0995086, 0.217932, 0.196, 271122432),
    ],
    ids=["benchmark_model 2.4", "benchmark_model 2.20", "onnxruntime_perf_test"],
)
def test_what_the_programs_say(said: str, seconds: float, load: float, first: float, memory: int) -> None:
    found = android.parsed(said, "phone")
    assert found == {"seconds": pytest.approx(seconds), "load": load, "first": pytest.approx(first), "memory": memory}


def test_what_they_do_not_say() -> None:
    with pytest.raises(DeviceError, match="printed no inference time: Failed to load model"):
        android.parsed("STARTING!\nFailed to load model\n", "phone")


def test_what_is_not_printed_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """0 bytes and 0 seconds would meet every budget."""
    newer = android.parsed(NEWER.replace("73.5", "0"), "phone")
    assert newer.keys() == {"seconds", "load", "first"}
    lines = [line for line in ONNX.splitlines() if "First" not in line and "Peak" not in line]
    found = android.parsed("\n".join(lines), "phone")
    assert found.keys() == {"seconds", "load"}
    monkeypatch.setattr(paired, "_run", lambda *_: found)
    taken = Samples(path="m.onnx", runtime="onnxruntime", threads=1, cpu=[[1.0]], wall=[[1.0]])
    weighed = paired.weigh(taken, paired.Model("m.onnx", Path("m.onnx")))
    assert (weighed.memory, weighed.load, weighed.first) == (None, [], [])


def test_the_doctor_looks_for_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """A phone has no Python, and what measures there is named in the target."""
    info = {
        "python": None,
        "free": 10**10,
        "governors": [],
        "throttled": None,
        "versions": {},
        "executable": "x",
    }
    device = SimpleNamespace(info=lambda: info, run=lambda words: Done(int(words[-1] != "/data/program"), "", ""))
    monkeypatch.setattr(doctor, "connect", lambda *_: nullcontext(device))
    monkeypatch.setattr(doctor.health, "about", lambda _: "a phone")
    monkeypatch.setattr(doctor.health, "require", lambda *_: None)

    def checks(binary: str | None) -> tuple[str, bool]:
        _, program, *_ = doctor.of(
            SimpleNamespace(reach="adb://1", python=None, binary=binary, architecture="aarch64", runtime="litert")  # type: ignore[arg-type]
        )
        return program.about, program.missing

    assert checks("/data/program") == ("/data/program", False)
    assert checks("/data/other") == ("`/data/other` is no program there", True)
    assert checks(None) == ("adb://1 has no Python to measure with", True)


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Phone]:
    if why := phones.missing():
        pytest.skip(why)
    folder = tmp_path / "data"
    folder.mkdir()
    found = Phone(f"edgepress-{os.getpid()}-{random.randrange(10**6)}", folder)
    monkeypatch.setattr(adb, "PLACE", str(folder))
    monkeypatch.setenv(adb.COMMAND, found.command)
    try:
        found.start()
        yield found
    finally:
        found.stop()


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "benchmark_model"
    source = Path(__file__).with_name("benchmark_model.py").read_text()
    path.write_text(f"#!{sys.executable}\n{source}")
    path.chmod(0o755)
    return str(path)


def test_files_and_programs(phone: Phone, tmp_path: Path) -> None:
    sent = tmp_path / "sent.bin"
    sent.write_bytes(os.urandom(3_000_000))
    with connect(REACH) as device:
        path = device.push(sent)
        assert device.pull(path) == sent.read_bytes()
        assert device.push(sent) == path
        assert device.run(["cat"], "word\n").out == "word\n"
        done = device.run(["sh", "-c", "echo a; echo b >&2; exit 3"])
        assert (done.code, done.out, done.err) == (3, "a\n", "b\n")
        assert "ORT_DISABLE_TELEMETRY=1" in device.run(["env"]).out.splitlines()
        with pytest.raises(DeviceError, match="has no `/not/there`"):
            device.pull("/not/there")
        with pytest.raises(DeviceError, match="has no `nothing-of-this-name`"):
            device.run(["nothing-of-this-name"])
        with pytest.raises(DeviceError, match="did not answer for 1 s: sleep"):
            device.run(["sleep", "60"], timeout=1)
        info = device.info()
        assert (info["architecture"], info["cores"]) == (os.uname().machine, os.cpu_count())
        assert info["free"] > 0
    assert phone.left() == []


@pytest.mark.slow
def test_models_are_timed_and_weighed_by_the_program(phone: Phone, program: str, finished: tuple[Place, Said]) -> None:
    model = finished[0].runs / "whole" / "models" / "int8-tflite.tflite"
    with connect(REACH, binary=program) as device:
        models = [Model("one", model, "litert"), Model("two", model, "litert")]
        found = paired.measure(models, looks=(2,), rounds=20, device=device)
        assert [[len(process) for process in each.wall] for each in found] == [[1, 1], [1, 1]]
        assert all(0 < time < 1 for each in found for process in each.wall for time in process)
        assert paired.weigh(found[0], models[0], device).memory == int(12.5 * 2**20)
    assert phone.left() == []
    with connect(REACH) as device, pytest.raises(DeviceError, match="has no Python to measure with"):
        paired.measure(models, looks=(1,), device=device)


def test_no_such_phone(phone: Phone) -> None:
    with pytest.raises(DeviceError, match="not found"), connect("adb://nobody"):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("number", range(20))
def test_unplugged_at_any_moment(number: int, phone: Phone, program: str, finished: tuple[Place, Said]) -> None:
    """adbd is killed: exit 4 in time, no process and no file left."""
    model = finished[0].runs / "whole" / "models" / "int8-tflite.tflite"
    target = phone.folder.parent / "phone.yaml"
    target.write_text(f"name: phone\nruntime: litert\nreach: {REACH}\nbinary: {program}\nbudgets: {{}}\n")
    unplugged: list[float] = []

    def unplug() -> None:
        phone.unplug()
        unplugged.append(time.monotonic())

    timer = threading.Timer(random.Random(number).uniform(0.05, 6.0), unplug)
    timer.start()
    said = edgepress("bench", model, "--against", model, "--tolerance", "0%", "--on", target)
    ended = time.monotonic()
    timer.join()
    assert said.code == 4, said
    assert f"error: {REACH}" in said.err
    assert ended - unplugged[0] < 35
    assert phone.left() == []
