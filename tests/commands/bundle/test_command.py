"""The archive of a run: the same bytes each time, the numbers of the report, and each way in which there is none."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from edgepress.commands.bundle import card, contract
from edgepress.core.errors import UserError
from edgepress.core.results import Report
from edgepress.core.units import show_bytes
from edgepress.data.dataset import Dataset
from edgepress.models import metadata

from tests import graphs
from tests.commands.bundle.made import bundle, unpacked
from tests.conftest import Place, Said, edgepress

STATED = """\
card:
  intended_use: Tells digits of one pen apart | not for cheques
  weights: MIT
  data: CC-BY-4.0
"""

VALIDATE = """\
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
print(JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read()))
"""


def report(place: Place) -> Report:
    return Report.model_validate_json((place.runs / "whole" / "report.json").read_text())


@pytest.fixture(scope="module")
def homes(finished: tuple[Place, Said], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By target, its archive unpacked."""
    folder = tmp_path_factory.mktemp("archives")
    return {target: unpacked(finished[0], target, folder) for target in ("desk", "phone")}


def test_the_same_run_gives_the_same_bytes(finished: tuple[Place, Said], tmp_path: Path) -> None:
    place, _ = finished
    for name in ("a.zip", "b.zip"):
        assert bundle(place, "desk", tmp_path / name).code == 0
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        entries = packed.infolist()
    names = [entry.filename for entry in entries]
    assert names == sorted(names)
    assert {name.partition("/")[0] for name in names} == {"whole-desk"}
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    before = (tmp_path / "a.zip").stat().st_mtime_ns
    assert bundle(place, "desk", tmp_path / "a.zip").code == 0, "an archive of ours is written anew"
    assert (tmp_path / "a.zip").stat().st_mtime_ns > before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_without_a_name_it_lies_in_the_folder_of_the_run(copy: Place) -> None:
    options = ("--cache", copy.cache, "--runs", copy.runs)
    said = edgepress("bundle", copy.recipe, "--target", "phone", *options)
    assert (said.code, said.err) == (0, "")
    assert said.out == f"wrote {copy.runs / 'whole' / 'whole-phone.zip'}\n"


@pytest.mark.parametrize(
    ("target", "model", "stage"), [("desk", "model.onnx", "int8"), ("phone", "model.tflite", "int8-tflite")]
)
def test_the_model_is_the_one_that_the_target_judges(
    homes: dict[str, Path], finished: tuple[Place, Said], target: str, model: str, stage: str
) -> None:
    content = (homes[target] / model).read_bytes()
    files = next(each.files for each in report(finished[0]).stages if each.name == stage)
    assert hashlib.sha256(content).hexdigest() in {file.sha256 for file in files}
    described = json.loads((homes[target] / "model.json").read_text())
    assert described["file"] == model
    assert described["sha256"] == hashlib.sha256(content).hexdigest()
    assert (homes[target] / "labels.txt").read_text().splitlines() == list("0123456789") == described["labels"]
    licences = {path.name for path in (homes[target] / "LICENSES").iterdir()}
    assert licences == {"Apache-2.0.txt"} | ({"MIT.txt"} if target == "desk" else set())


def test_every_file_has_its_digest(homes: dict[str, Path]) -> None:
    for home in homes.values():
        rows = [line.split("  ", 1) for line in (home / "SHA256SUMS").read_text().splitlines()]
        listed = {name: digest for digest, name in rows}
        there = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}
        assert set(listed) == there - {"SHA256SUMS"}
        assert all(hashlib.sha256((home / name).read_bytes()).hexdigest() == digest for name, digest in listed.items())


def test_the_card_has_the_numbers_of_the_report(homes: dict[str, Path], finished: tuple[Place, Said]) -> None:
    text = (homes["desk"] / "README.md").read_text()
    described = json.loads((homes["desk"] / "model.json").read_text())
    file = next(f for s in report(finished[0]).stages for f in s.files if f.sha256 == described["sha256"])
    table = text.partition("## Measured")[2].partition("## ")[0]
    rows = {line.split(" | ")[0].lstrip("| "): line for line in table.splitlines() if line.startswith("|")}
    assert f"{show_bytes(file.bytes)} ({file.bytes:,} bytes) | measured" in rows["size"]
    assert f"{file.scores['test']['accuracy']:.1%} [" in rows["accuracy on test"]
    for name in ("latency p50 on desk", "latency against teacher", "peak memory", "loss of accuracy against teacher"):
        assert "| measured |" in rows[name], rows[name]
    assert "onnxruntime, 1 thread" in rows["latency p50 on desk"]
    assert text.count("unknown: the recipe does not state it") == 4, "intended use and three licences"
    assert str(finished[0].folder) not in text, "no path of this machine"


def test_times_that_were_not_taken_in_pairs_have_no_ratio(copy: Place, tmp_path: Path) -> None:
    """TFLite files are timed in processes of their own, of other numbers of rounds."""
    rerooted(copy)
    path = copy.runs / "whole" / "report.json"
    edited = json.loads(path.read_text())
    for samples in edited["samples"]:
        if samples["runtime"] == "litert":
            samples["cpu"], samples["wall"] = ([row[:-1] for row in samples[clock]] for clock in ("cpu", "wall"))
    path.write_text(json.dumps(edited, separators=(",", ":")))
    text = (unpacked(copy, "phone", tmp_path, "--no-examples") / "README.md").read_text()
    assert "| latency against teacher | no number |  | timed apart: litert against onnxruntime |" in text


def test_what_the_recipe_states_is_in_the_card_and_in_the_bill(copy: Place, tmp_path: Path) -> None:
    copy.recipe.write_text(copy.recipe.read_text() + STATED)
    home = unpacked(copy, "desk", tmp_path, "--no-examples")
    text = (home / "README.md").read_text()
    assert "Tells digits of one pen apart \\| not for cheques" in text
    assert "- weights: MIT\n- data: CC-BY-4.0\n- code: unknown" in text
    bill = json.loads((home / "bom.cdx.json").read_text())
    model = bill["metadata"]["component"]
    assert model["licenses"] == [{"license": {"name": "MIT"}}]
    assert model["modelCard"]["considerations"]["useCases"] == ["Tells digits of one pen apart | not for cheques"]
    assert not (home / "selftest").exists(), "private data stays here"
    assert "Self-test" not in text


def test_the_bill_names_what_made_the_model(homes: dict[str, Path], finished: tuple[Place, Said]) -> None:
    bill = json.loads((homes["phone"] / "bom.cdx.json").read_text())
    sha256 = hashlib.sha256((homes["phone"] / "model.tflite").read_bytes()).hexdigest()
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": sha256}]
    found = {part["name"]: part["version"] for part in bill["components"] if part["type"] == "library"}
    assert found == report(finished[0]).versions
    refs = {part["bom-ref"] for part in bill["components"]}
    assert set(bill["dependencies"][0]["dependsOn"]) == refs


@pytest.mark.slow
def test_the_bill_is_valid_cyclonedx(homes: dict[str, Path], tmp_path: Path) -> None:
    """By the schema that CycloneDX's own library carries; it stands in an environment of its own."""
    venv.create(tmp_path / "validator", with_pip=True)
    python = tmp_path / "validator" / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", "cyclonedx-python-lib[json-validation]"]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cyclonedx-python-lib cannot be installed here: {(done.stderr.splitlines() or ['?'])[-1]}")
    for home in homes.values():
        command = [python, "-c", VALIDATE, home / "bom.cdx.json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "None\n"), done


def test_a_smoke_run_is_no_run(copy: Place, tmp_path: Path) -> None:
    (copy.runs / "whole" / "report.json").unlink()
    said = bundle(copy, "desk", tmp_path / "a.zip")
    assert said.code == 2
    assert "there is no run of `whole`" in said.err


def test_the_folder_of_a_run_is_packed_too(copy: Place, tmp_path: Path) -> None:
    """Such as that of a smoke run, whose card says that its numbers are none."""
    rerooted(copy)
    path = copy.runs / "whole" / "report.json"
    limited = json.loads(path.read_text()) | {"limited": 100, "source": str(copy.recipe)}
    folder = copy.runs / "whole" / "limited"
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps(limited))
    said = edgepress("bundle", folder, "--target", "phone", "--no-examples")
    assert (said.code, said.err, said.out) == (0, "", f"wrote {folder / 'whole-phone.zip'}\n")
    with zipfile.ZipFile(folder / "whole-phone.zip") as packed:
        assert "A smoke run, limited to 100 examples" in packed.read("whole-phone/README.md").decode()
    path.unlink()
    (copy.folder / "recipe.yaml").rename(copy.folder / "renamed.yaml")
    said = edgepress("bundle", folder, "--target", "phone")
    assert said.code == 2
    assert "recipe.yaml`, the recipe of" in said.err


def test_a_file_that_misses_a_budget_is_packed_by_force_alone(copy: Place, tmp_path: Path) -> None:
    copy.edit("desk.yaml", "size: 5 MB", "size: 1 kB")
    said = bundle(copy, "desk", tmp_path / "a.zip", "--no-examples")
    assert said.code == 2
    assert "the file of `whole` does not meet the budgets of `desk`" in said.err
    assert "--force packs it nevertheless" in said.err
    assert not (tmp_path / "a.zip").exists()
    assert bundle(copy, "phone", tmp_path / "b.zip", "--no-examples").code == 0, "that is the budget of another target"
    home = unpacked(copy, "desk", tmp_path, "--no-examples", "--force")
    table = (home / "README.md").read_text().partition("## Budgets")[2].partition("## ")[0]
    assert "| size |" in table
    assert "| FAIL |" in table


def test_two_targets_of_one_name_are_refused(copy: Place, tmp_path: Path) -> None:
    copy.edit("phone.yaml", "name: phone", "name: desk")
    said = bundle(copy, "desk", tmp_path / "a.zip")
    assert said.code == 2
    assert "desk" in said.err
    assert not (tmp_path / "a.zip").exists()


def test_a_recipe_that_was_edited_since_is_noted(copy: Place, tmp_path: Path) -> None:
    copy.edit("recipe.yaml", "seed: 0", "seed: 1")
    said = bundle(copy, "desk", tmp_path / "a.zip", "--no-examples")
    assert said.code == 0
    assert "has changed since this run; its models are as they were then" in said.err
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        bill = json.loads(packed.read("whole-desk/bom.cdx.json"))
    recorded = {entry["name"]: entry["value"] for entry in bill["metadata"]["component"]["properties"]}
    assert recorded["edgepress:recipe:sha256"] == report(copy).data["recipe_sha256"], "that of the run"


def test_a_file_of_somebody_else_in_the_report_is_refused(copy: Place, tmp_path: Path) -> None:
    """A report that was edited by hand, with the digest of the file that it names."""
    stranger = tmp_path / "stranger.tflite"
    stranger.write_bytes(b"\x00\x01" * 100)
    path = copy.runs / "whole" / "report.json"
    edited = json.loads(path.read_text())
    file = edited["stages"][-1]["files"][0]
    file |= {"path": str(stranger), "sha256": hashlib.sha256(stranger.read_bytes()).hexdigest()}
    path.write_text(json.dumps(edited, separators=(",", ":")))
    said = bundle(copy, "phone", tmp_path / "a.zip")
    assert said.code == 2, said.err
    assert "stranger.tflite" in said.err
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount a disk")
def test_a_full_disk_leaves_nothing(copy: Place, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", small], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode(errors='replace').strip()}")
    try:
        said = bundle(copy, "desk", small / "a.zip", "--no-examples")
        assert said.code == 2
        assert "No space left on device" in said.err
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


def rerooted(copy: Place) -> None:
    """Let the report of a copied run name the copied files."""
    path = copy.runs / "whole" / "report.json"
    original = json.loads(path.read_text())["stages"][-1]["files"][0]["path"]
    path.write_text(path.read_text().replace(str(Path(original).parents[3]), str(copy.folder)))


def model(place: Place) -> Path:
    return place.runs / "whole" / "models" / "int8-tflite.tflite"


def _lost(place: Place) -> None:
    model(place).unlink()


def _changed(place: Place) -> None:
    content = bytearray(model(place).read_bytes())
    content[-1] ^= 1
    model(place).write_bytes(content)


def _interrupted(place: Place) -> None:
    """The report of a run whose models a later one had begun to replace."""
    shutil.copyfile(place.runs / "whole" / "models" / "float.onnx", model(place))


def _damaged(place: Place) -> None:
    (place.runs / "whole" / "report.json").write_text("{}")


def _other_data(place: Place) -> None:
    path = place.runs / "whole" / "report.json"
    text = path.read_text()
    digest = json.loads(text)["data"]["sha256"]
    path.write_text(text.replace(digest, "0" * 64))


WRONG: dict[str, tuple[Callable[[Place], None], str, str]] = {
    "its file is missing": (_lost, "int8-tflite.tflite` is missing", "writes it again"),
    "its file was changed": (_changed, "is not the file that the run measured", "makes it anew"),
    "a later run was interrupted": (_interrupted, "is not the file that the run measured", "makes it anew"),
    "its report is damaged": (_damaged, "is damaged", "move it away"),
    "its data has changed": (_other_data, "the data of `whole` has changed", "--no-examples"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_run_that_is_not_whole_is_refused(case: str, copy: Place, tmp_path: Path) -> None:
    rerooted(copy)
    break_it, message, help = WRONG[case]
    break_it(copy)
    said = bundle(copy, "phone", tmp_path / "a.zip")
    assert said.code == 2
    assert message in said.err
    assert help in said.err
    assert not (tmp_path / "a.zip").exists()


def test_a_target_that_the_run_does_not_have(finished: tuple[Place, Said], tmp_path: Path) -> None:
    said = bundle(finished[0], "dsek", tmp_path / "a.zip")
    assert (said.code, "did you mean `desk`?" in said.err) == (2, True)
    said = bundle(finished[0], "raspberry-pi-4", tmp_path / "a.zip")
    assert said.code == 2
    assert "has no target `raspberry-pi-4`" in said.err
    assert "--target raspberry-pi-4` adds it" in said.err


def test_a_file_of_somebody_else_is_not_overwritten(finished: tuple[Place, Said], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("holiday.txt", "sun")
    before = (tmp_path / "a.zip").read_bytes()
    said = bundle(finished[0], "desk", tmp_path / "a.zip")
    assert said.code == 2
    assert "is not what edgepress wrote" in said.err
    assert (tmp_path / "a.zip").read_bytes() == before
    (tmp_path / "folder").mkdir()
    assert bundle(finished[0], "desk", tmp_path / "folder").code == 2


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is a folder that nobody writes")
def test_a_folder_that_cannot_be_written(finished: tuple[Place, Said]) -> None:
    said = bundle(finished[0], "desk", Path("/proc/a.zip"))
    assert said.code == 2
    assert "/proc/a.zip" in said.err
    assert "--out" in said.err


def test_a_target_may_be_called_anything(copy: Place, tmp_path: Path) -> None:
    copy.edit("desk.yaml", "name: desk", 'name: "../../x\\e[31m y"')
    said = bundle(copy, "../../x\x1b[31m y", tmp_path / "a.zip", "--no-examples")
    assert said.code == 0, said
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        assert {name.partition("/")[0] for name in packed.namelist()} == {"whole-x-31m-y"}
        text = packed.read("whole-x-31m-y/README.md").decode()
    assert "\x1b" not in text


def test_words_of_a_foreign_file_have_no_effect_in_the_card() -> None:
    entry = {
        "name": "a`|b",
        "dtype": "f4 | <b>*x*",
        "shape": ["1|2", "\x1b[31m"],
        "layout": "N\nC",
        "meaning": "[a](b)\n# c",
    }
    rows = list(card._tensors({"task": "image", "labels": [], "inputs": [], "outputs": [entry]}))
    cells = (r"output a\`\|b", r"f4 \| &lt;b>\*x\*", r"1\|2 × \x1b[31m N\nC", r"[a\](b)\n# c")
    assert rows[2] == f"| {' | '.join(cells)} |"


def written(path: Path, contract: Any) -> Path:
    """A file with these metadata."""
    model = graphs.small()
    metadata.embed(model, contract)
    onnx.save(model, path)
    return path


FLOAT = {"name": "x", "dtype": "float32"}


@pytest.mark.parametrize(
    "wrong",
    [
        ["no mapping"],
        {"task": "nonsense"},
        {"task": ["single-label"]},
        {"labels": "0123456789"},
        {"labels": [0, 1]},
        {"labels": None},
        {"inputs": []},
        {"inputs": FLOAT},
        {"outputs": []},
        {"outputs": ["output"]},
        {"outputs": 1},
        {"outputs": [FLOAT | {"name": 1}]},
        {"outputs": [FLOAT | {"dtype": "nonsense"}]},
        {"outputs": [FLOAT | {"dtype": "U5"}]},
        {"outputs": [FLOAT | {"dtype": []}]},
        {"outputs": [{"name": "x"}]},
        {"outputs": [FLOAT]},
        {"outputs": [FLOAT | {"dtype": None, "meaning": "raw"}]},
        {"outputs": [FLOAT | {"dtype": ",", "meaning": "raw"}]},
        {"inputs": [FLOAT | {"kind": "tokens", "shape": [1, 5], "layout": "NL"}]},
        {"inputs": [FLOAT | {"kind": "numbers", "shape": [1, 5], "layout": "NC", "scale": 0, "mean": [], "std": []}]},
    ],
)
def test_metadata_that_edgepress_does_not_write_are_refused(wrong: Any, digits: Dataset, tmp_path: Path) -> None:
    sound = metadata.describe(digits)
    assert contract.read(written(tmp_path / "a.onnx", sound), "") == sound
    foreign = written(tmp_path / "b.onnx", sound | wrong if isinstance(wrong, dict) else wrong)
    with pytest.raises(UserError, match="has no metadata of edgepress") as refused:
        contract.read(foreign, "make it anew")
    assert refused.value.problems[0].help == "make it anew"


def test_metadata_that_are_too_deep_are_refused(tmp_path: Path) -> None:
    model = graphs.small()
    model.metadata_props.add(key="edgepress", value="[" * 100_000)
    onnx.save(model, tmp_path / "deep.onnx")
    with pytest.raises(UserError, match="has no metadata of edgepress"):
        contract.read(tmp_path / "deep.onnx", "make it anew")
    assert metadata.own({"edgepress": "[" * 100_000}) is None
