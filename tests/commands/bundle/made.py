"""Finished runs without a timed one, their archives, and a Python that has numpy and the runtimes alone."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

from edgepress.config import recipe
from edgepress.core import ownership
from edgepress.engine import artifacts
from edgepress.engine.cache import Cache
from edgepress.engine.engine import Engine
from edgepress.engine.report import _assembler

from tests.conftest import Place, Said, edgepress
from tests.engine.test_engine import Quiet

SITE = Path(sysconfig.get_paths()["purelib"])
ALONE = ("numpy", "numpy.libs", "onnxruntime", "ai_edge_litert", "flatbuffers", "google", "packaging")
"""What the runtimes import, of this environment's packages."""
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
TARGETS = {
    "desk.yaml": "name: desk\nruntime: onnxruntime\nreach: local\nbudgets: {size: 5 MB}\n",
    "phone.yaml": "name: phone\nruntime: litert\nbudgets: {size: 5 MB}\n",
}


def finish(folder: Path, text: str) -> Place:
    """Run a recipe whose targets are `desk.yaml` and `phone.yaml`; nothing is timed."""
    for name, content in {**TARGETS, "recipe.yaml": text}.items():
        (folder / name).write_text(content)
    place = Place(folder)
    engine = Engine(recipe.load(place.recipe), Cache(place.cache))
    engine.run(Quiet())
    home = place.runs / engine.recipe.name
    stages = artifacts.deliver(engine, home / "models", None, ownership.together([]))
    report = _assembler(engine, {})(stages=stages, samples=[], references=[])
    (home / "report.json").write_text(report.as_json(), encoding="utf-8")
    return place


def bundle(place: Place, target: str, out: Path, *options: str) -> Said:
    folders = ("--cache", place.cache, "--runs", place.runs)
    return edgepress("bundle", place.recipe, "--target", target, "--out", out, *folders, *options)


def unpacked(place: Place, target: str, folder: Path, *options: str) -> Path:
    """Bundle for a target and unpack it; return the one folder that is in the archive."""
    archive = folder / f"{target}.zip"
    said = bundle(place, target, archive, *options)
    assert said.code == 0, said
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder / target)
    (home,) = (folder / target).iterdir()
    return home


def bare_python(folder: Path) -> Path:
    """Return the Python of an empty environment that sees numpy and the runtimes, and no edgepress."""
    links = folder / "links"
    links.mkdir()
    for name in ALONE:
        if (SITE / name).exists():
            (links / name).symlink_to(SITE / name)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "bare"], check=True)
    (site,) = (folder / "bare" / "lib").glob("python*/site-packages")
    (site / "links.pth").write_text(f"{links}\n")
    return folder / "bare" / "bin" / "python"
