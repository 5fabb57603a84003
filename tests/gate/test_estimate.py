"""Estimates: one scale a runtime, precision and number of threads; how wide; and when there is none."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from edgepress.benchmark import paired
from edgepress.benchmark.paired import Model
from edgepress.config import target
from edgepress.core.results import ModelFile, Samples
from edgepress.engine import references
from edgepress.gate import estimate, published

INT8 = ModelFile(path="m", kind="tflite", precision="xnnpack", bytes=1, sha256="", scores={})
FP32 = INT8.model_copy(update={"precision": "float32"})


def row(name: str, ms: float, **more: Any) -> dict[str, Any]:
    facts = {
        "model": f"timm/{name}@224",
        "ms": ms,
        "precision": "int8",
        "threads": 1,
        "runtime": "xnnpack",
        "statistic": "mean",
        "source": "a table",
        "commit": "abc",
    }
    return facts | more


def board(*rows: dict[str, Any], **more: Any) -> target.Target:
    facts = {"name": "b", "runtime": "litert", "budgets": {"latency": "1 s"}, "references": list(rows)}
    return target.Target.model_validate(facts | more)


def host(path: str, ms: float, threads: int = 1, runtime: Any = "litert") -> Samples:
    # One slow round in each process and one slow process: medians of medians do not see them.
    cpu = [[ms / 1e3, ms / 1e3, 1.0], [ms / 1e3] * 3, [1.0] * 3]
    return Samples(path=path, runtime=runtime, threads=threads, wall=[[9.0] * 3] * 3, cpu=cpu)


def found(profile: target.Target, measured: list[Samples], file: ModelFile = INT8) -> estimate.Estimate:
    answer = estimate.latency(profile, file, measured)
    assert isinstance(answer, estimate.Estimate), answer
    return answer


TWO = [row("a", 10.0), row("b", 40.0)]
HERE = [host("timm/a@224 int8", 1.0), host("timm/b@224 int8", 4.0)]


def test_one_scale_from_the_mean_of_logs() -> None:
    uneven = [row("a", 10.0), row("b", 48.4)]  # scales 10 and 12.1: their geometric mean is 11
    answer = found(board(*uneven), [host("m", 2.0), *HERE])
    assert answer.seconds == pytest.approx(0.022)
    assert answer.interval == pytest.approx((0.022 / 1.35, 0.022 * 1.35))
    assert answer.basis == "x1.35 interval, 2 references (xnnpack int8, 1 thread there, 1 here; a table abc)"
    assert answer.note == ""


@pytest.mark.parametrize(
    ("rows", "factor", "note"),
    [
        ([row("a", 10.0), row("b", 40.0)], 1.35, ""),
        ([row("a", 10.0, threads=4), row("b", 40.0, threads=4)], 1.6, ""),
        ([row("a", 10.0, runtime="ncnn"), row("b", 40.0, runtime="ncnn")], 2.0, "ncnn proxy"),
        ([row("a", 10.0), row("b", 160.0)], 4.0, ""),  # each is missed fourfold by the other
    ],
)
def test_how_wide(rows: list[dict[str, Any]], factor: float, note: str) -> None:
    answer = found(board(*rows, threads=rows[0]["threads"]), [host("m", 2.0), *HERE])
    assert answer.interval[1] / answer.seconds == pytest.approx(factor)
    assert answer.seconds / answer.interval[0] == pytest.approx(factor)
    assert answer.note == note


def test_nine_references_carry_a_conformal_interval() -> None:
    errors = [-0.4, -0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.4]
    rows = [row(f"r{i}", 30 * math.exp(error)) for i, error in enumerate(errors)]
    measured = [host(f"timm/r{i}@224 int8", 3.0) for i in range(9)]
    answer = found(board(*rows), [host("m", 3.0), *measured])
    assert answer.seconds == pytest.approx(0.030)
    assert answer.interval[1] / answer.seconds == pytest.approx(math.exp(0.4 * 9 / 8))
    assert answer.basis.startswith("90% interval, 9 references")


def test_references_of_like_time_count_most() -> None:
    """Two scales, of small networks and of large ones: each estimate takes after its neighbours."""
    rows = [row("s1", 10.0), row("s2", 20.0), row("l1", 800.0), row("l2", 1600.0)]
    measured = [
        host(f"timm/{name}@224 int8", ms) for name, ms in (("s1", 1.0), ("s2", 2.0), ("l1", 40.0), ("l2", 80.0))
    ]
    for here, there in ((1.5, 0.015), (60.0, 1.2)):
        assert found(board(*rows), [host("m", here), *measured]).seconds == pytest.approx(there, rel=0.01)
    between = found(board(*rows), [host("m", math.sqrt(2 * 40)), *measured]).seconds
    assert 10 < between * 1e3 / math.sqrt(2 * 40) < 20
    far = found(board(*rows, extrapolate="x2"), [host("m", 1e-4), *measured]).seconds
    assert far == pytest.approx(1e-6, rel=0.01), "the nearest, however far"


def test_one_reference_is_rough_and_covers_only_itself() -> None:
    answer = found(board(row("a", 10.0)), [host("m", 1.0), HERE[0]])
    assert answer.interval[1] / answer.seconds == pytest.approx(1.6)


def test_outside_the_span_there_is_none_unless_the_profile_extrapolates() -> None:
    measured = [host("m", 0.2), *HERE]
    assert estimate.latency(board(*TWO), INT8, measured) == "0.2 ms here is outside the references' 1–4 ms"
    answer = found(board(*TWO, extrapolate="x2"), measured)
    assert answer.seconds == pytest.approx(0.002)
    assert answer.interval[1] / answer.seconds == pytest.approx(2 * 1.35)
    assert answer.note == "0.2 ms here is outside the references' 1–4 ms, interval x2"


def test_fp32_and_int8_never_share_a_scale() -> None:
    profile = board(*TWO, row("a", 100.0, precision="fp32"), row("b", 400.0, precision="fp32"))
    measured = [host("m", 2.0), *HERE, host("timm/a@224 fp32", 2.0), host("timm/b@224 fp32", 8.0)]
    assert found(profile, measured).seconds == pytest.approx(0.020)
    assert found(profile, measured, FP32).seconds == pytest.approx(0.100)
    for precision in ("dynamic", "float16", "weights", "int16"):
        other = INT8.model_copy(update={"precision": precision})
        assert f"no published latency of a network in {precision}" in str(estimate.latency(profile, other, measured))


def test_the_own_runtime_goes_before_a_proxy_with_more_rows() -> None:
    proxies = [row(name, 999.0, runtime="ncnn") for name in "abc"]
    assert found(board(*proxies, *TWO), [host("m", 2.0), *HERE]).seconds == pytest.approx(0.020)


@pytest.mark.parametrize(
    ("profile", "measured", "reason"),
    [
        (board(), [host("m", 2.0), *HERE], "no published latency of a network in xnnpack on 1 thread to"),
        (board(*TWO, threads=4), [host("m", 2.0), *HERE], "no published latency of a network in xnnpack on 4 threads"),
        (board(*TWO), [host("m", 2.0)], "its references were not measured on this machine"),
        (board(*TWO), HERE, "was not measured on this machine"),
        (board(*TWO), [host("m", 2.0, threads=2), *HERE], "was not measured on this machine"),
        (board(*TWO), [host("m", 2.0, runtime="onnxruntime"), *HERE], "was not measured on this machine"),
    ],
)
def test_without_a_basis_there_is_no_number(profile: target.Target, measured: list[Samples], reason: str) -> None:
    assert reason in str(estimate.latency(profile, INT8, measured))


def test_which_models_to_measure() -> None:
    estimated = board(*TWO, row("c", 1.0, precision="fp32"))
    assert [model.label for model in published.reference_models(estimated, "xnnpack")] == [
        "timm/a@224 int8",
        "timm/b@224 int8",
    ]
    assert published.reference_models(board(*TWO, reach="local"), "xnnpack") == []
    assert published.reference_models(board(*TWO, budgets={"size": "1 MB"}), "xnnpack") == []
    relative = board(runtime="onnxruntime", reach="local", budgets={"latency": "2x timm/mobilenetv2_050@28"})
    assert [model.label for model in published.pinned_models(relative)] == ["timm/mobilenetv2_050@28 fp32"]
    assert published.pinned_models(estimated) == []


def test_a_reference_is_built_and_runs(tmp_path: Path) -> None:
    model = published.ReferenceModel("timm/mobilenetv2_035@32", "int8", "litert")
    path = references.build(model, tmp_path)
    assert list(tmp_path.iterdir()) == [path], "scratch files stay behind"
    assert path.name == model.file == "timm-mobilenetv2_035@32-int8.tflite"
    assert 1.6e6 < path.stat().st_size < 2.4e6, "1.68 million parameters of about one byte"
    assert paired.measure([Model(model.label, path, "litert")], looks=(1,), rounds=2)[0].cpu
