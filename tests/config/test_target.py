"""A target profile: what is read, what is refused, and which integer preset a machine gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from edgepress.config import target
from edgepress.core import presets, units
from edgepress.core.errors import UserError
from edgepress.core.results import Machine

SHIPPED = sorted(Path(__file__).parents[2].glob("targets/*.yaml"))
PLAIN = """\
name: board
runtime: litert
threads: 4
budgets:
  size: 2 MB
  latency: {limit: 40 ms, percentile: 90, level: advisory}
"""


def machine(architecture: str = "x86_64", features: tuple[str, ...] = ()) -> Machine:
    return Machine(cpu="a cpu", architecture=architecture, cores=2, features=list(features), system="Linux")


def read(tmp_path: Path, text: str) -> target.Target:
    path = tmp_path / "board.yaml"
    path.write_text(text)
    return target.load(path)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_profile_loads(path: Path) -> None:
    profile = target.load(path)
    assert profile.name == path.stem
    assert profile.about
    for name, _ in profile.budgets.set_fields():
        assert str(profile.place("budgets", name)).startswith(str(path))
    if profile.reach == "none" and profile.budgets.latency:
        assert profile.references, "a device that is not reached has nothing to be estimated from"


def test_budgets_plain_and_with_a_level(tmp_path: Path) -> None:
    profile = read(tmp_path, PLAIN)
    assert [name for name, _ in profile.budgets.set_fields()] == ["size", "latency"]
    assert profile.budgets.size is not None
    assert profile.budgets.size.limit == 2e6
    assert profile.budgets.size.level == "required"
    latency = profile.budgets.latency
    assert latency is not None
    assert (latency.limit, latency.percentile, latency.level) == (0.04, 90, "advisory")
    assert str(profile.place("budgets", "size")).endswith("board.yaml:5:9")
    assert str(profile.place("budgets", "latency")).endswith("board.yaml:6:12")


def test_latency_relative_to_a_pinned_reference(tmp_path: Path) -> None:
    text = "name: host\nruntime: onnxruntime\nreach: local\nbudgets: {latency: 0.5x timm/mobilenetv2_100@224}\n"
    latency = read(tmp_path, text).budgets.latency
    assert latency is not None
    assert latency.limit == units.Relative(0.5, "timm/mobilenetv2_100@224")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2 MB", "2", "5:9: `size`: a number needs a unit here, got `2`"),
        ("40 ms", "5 MB", "`MB` is not a unit that fits here"),
        ("40 ms", "0.5x mobilenet", "write a share of a reference model's latency"),
        ("40 ms", "0.5x timm/mobilenetv2_100@224", "compares medians"),
        ("level: advisory", "levl: advisory", "did you mean `level`?"),
        ("runtime: litert", "runtime: tflite", "write `onnxruntime`, `litert` or `tflite-runtime`"),
        ("threads: 4", "threads: 0", "`threads`"),
        ("threads: 4", "extrapolate: 2x", "for example `x2`"),
        ("threads: 4", "extrapolate: x0.5", "a factor of at least one"),
        ("percentile: 90", "percentile: 100", "`percentile`"),
        (", percentile: 90, level: advisory}", ", level: must}", "`required` or `advisory`"),
    ],
)
def test_what_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        read(tmp_path, PLAIN.replace(old, new))
    assert message in str(error.value)


def test_a_relative_latency_needs_a_measured_target(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has to be measured"):
        read(tmp_path, "name: a\nruntime: litert\nbudgets: {latency: 0.5x timm/mobilenetv2_100@224}\n")


@pytest.mark.parametrize(
    ("architecture", "features", "expected"),
    [
        ("x86_64", ("avx2", "avx512_vnni"), "x86"),
        ("x86_64", ("avx2", "avx_vnni"), "x86"),
        ("x86_64", ("avx2", "avx512f"), "x86-avx2"),
        ("aarch64", ("asimddp",), "arm"),
    ],
)
def test_the_hosts_preset_follows_the_processor(architecture: str, features: tuple[str, ...], expected: str) -> None:
    assert presets.host_preset(machine(architecture, features)) == expected


def test_presets_are_the_hosts_first_and_each_once(tmp_path: Path) -> None:
    board = read(tmp_path, PLAIN)
    host = read(tmp_path, "name: host\nruntime: onnxruntime\nreach: local\nbudgets: {}\n")
    vnni = machine(features=("avx512_vnni",))
    assert target.presets([board, host, board], vnni) == ("x86", "xnnpack")
    assert target.presets([board, host], machine()) == ("x86-avx2", "xnnpack")
    pinned = read(tmp_path, "name: x\nruntime: onnxruntime\npreset: x86\nbudgets: {}\n")
    assert target.presets([pinned], machine()) == ("x86-avx2", "x86")


def test_tflite_on_this_machine_is_signed(tmp_path: Path) -> None:
    profile = read(tmp_path, "name: x\nruntime: litert\nreach: local\nbudgets: {}\n")
    assert profile.integers(machine(features=("avx512_vnni",))) == "xnnpack"


def test_find_looks_beside_the_recipe_and_suggests(tmp_path: Path) -> None:
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "board.yaml").write_text(PLAIN)
    (tmp_path / "recipes").mkdir()
    for recipe in (tmp_path / "mine.yaml", tmp_path / "recipes" / "mine.yaml"):
        assert target.find("board", recipe).samefile(tmp_path / "targets" / "board.yaml")
    assert target.find("own.yaml", tmp_path / "mine.yaml") == tmp_path / "own.yaml"
    with pytest.raises(UserError, match="did you mean `board`"):
        target.find("bord", tmp_path / "mine.yaml")
