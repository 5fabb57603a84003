"""`bench`: one file, two files, and stored traces of a busy machine judged again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from edgepress.benchmark import statistics
from edgepress.benchmark.devices.transport import DeviceError
from edgepress.commands import bench
from edgepress.core.errors import UserError

from tests.benchmark.test_paired import dense
from tests.conftest import edgepress

TRACES = Path(__file__).parents[1] / "bench/traces"
"""MobileNetV2 at 224 px against itself, and a twin with 10% more work against it, while both cores had other work."""


@pytest.mark.parametrize(("name", "status", "ratio"), [("unchanged", "ok", 1.001), ("slower", "FAIL", 1.099)])
def test_a_stored_trace_is_judged_as_it_was(name: str, status: str, ratio: float) -> None:
    trace = bench.read(TRACES / f"{name}.json")
    found = statistics.paired(trace.samples[0], trace.samples[1], trace.limit)
    assert found.status == status
    assert found.value == pytest.approx(ratio, abs=5e-4)
    assert statistics.contention(trace.samples[0]) > 1.5
    words, code = bench.render(trace)
    assert code == status
    assert f"{found.value:.3f}x of 1.050x" in words


@pytest.mark.parametrize("name", ["unchanged", "slower"])
def test_its_wall_times_alone_would_decide_nothing(name: str) -> None:
    """On several threads wall time is the clock, and it is not trusted while others take the cores."""
    trace = bench.read(TRACES / f"{name}.json")
    threaded = [each.model_copy(update={"threads": 2}) for each in trace.samples]
    doubled = [
        each.model_copy(update={"cpu": [[2 * time for time in times] for times in each.cpu]}) for each in threaded
    ]
    assert statistics.contention(doubled[0]) > statistics.CALM
    assert statistics.paired(doubled[0], doubled[1], trace.limit).status == "undecided"


def test_from_the_command_line_and_back(tmp_path: Path) -> None:
    for name, repeats in (("light", 1), ("heavy", 12)):
        (tmp_path / f"{name}.onnx").write_bytes(dense(repeats).SerializeToString())
    light, heavy, trace = tmp_path / "light.onnx", tmp_path / "heavy.onnx", tmp_path / "trace.json"
    said = edgepress("bench", heavy, "--against", light, "--trace", trace)
    assert said.code == 1, said
    assert "FAIL" in said.out
    assert said.out.endswith("exit 1\n")
    again = edgepress("bench", "--replay", trace)
    assert (again.out, again.code) == (said.out, 1)
    assert edgepress("bench", light, "--against", heavy).code == 0
    alone = edgepress("bench", light)
    assert alone.code == 0
    assert "median" in alone.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either a MODEL, or --replay"),
        (["no.onnx"], "there is no file `no.onnx`"),
        (["a.txt"], "`a.txt` is neither .onnx nor .tflite"),
        (["a.onnx", "--against", "b.tflite"], "no runtime in common"),
        (["a.onnx", "--tolerance", "5"], "`5` is not a share"),
        (["a.onnx"], "the process that measured a.onnx"),
        (["--replay", "a.txt"], "is no trace"),
        (["--replay", "none.json"], "there is no file `none.json`"),
        (["--replay", "none.json", "--tolerance", "20%"], "`--tolerance` is of measuring"),
        (["--replay", "none.json", "--on", "desk"], "`--on` is of measuring"),
    ],
)
def test_wrong_words(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "a.onnx", "b.tflite"):
        Path(name).write_bytes(b"nothing")
    said = edgepress("bench", *arguments)
    assert said.code == 2, said
    assert message in said.err
    assert "Traceback" not in said.err


def test_a_file_against_itself(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(dense(4).SerializeToString())
    trace = bench.measured(tmp_path / "m.onnx", against=tmp_path / "m.onnx", tolerance="50%", runtime=None, threads=1)
    assert len(trace.samples) == 2
    assert trace.samples[0].path != trace.samples[1].path


def test_tolerance_is_a_share() -> None:
    with pytest.raises(UserError, match="not a share"):
        bench.measured(Path("x.onnx"), against=None, tolerance="fast", runtime=None, threads=1)


def test_a_targets_provider_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times of the CPU would be taken for the accelerator's."""
    (tmp_path / "m.onnx").write_bytes(dense(4).SerializeToString())
    where = "runtime: onnxruntime\nprovider: tensorrt\nreach: ssh://nobody@localhost\nbudgets: {size: 1 MB}\n"
    (tmp_path / "jet.yaml").write_text(f"name: jet\n{where}")
    seen: list[Any] = []

    def measure(_: object, models: list[Any], **__: object) -> Any:
        seen.extend(models)
        raise DeviceError("measured elsewhere", "")

    monkeypatch.setattr(bench.on_device, "measure", measure)
    file = tmp_path / "m.onnx"
    with pytest.raises(DeviceError):
        bench.measured(file, against=file, tolerance="5%", runtime=None, threads=1, on=str(tmp_path / "jet.yaml"))
    assert [model.provider for model in seen] == ["tensorrt"] * 2
