"""Pack the file that a target judges, with all that running it takes."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...config.recipe import Recipe
from ...config.target import Target
from ...core import ownership
from ...core.errors import UserError, suggest
from ...core.paths import SHIPPED, Destination, digest, require_writable
from ...core.presets import PRESETS
from ...core.printable import word
from ...core.results import ModelFile, Report
from ...data import text
from ...engine.last import REPORT, last, of_file, source
from ...gate import judge
from ...models import decoder
from ..catalog import find
from . import archive, card, sbom
from .contract import read

TEMPLATES = SHIPPED / "bundle"
PYTHON = ("preprocess.py", "resize.py", "run.py")
RUNNERS = {"onnx": ("onnxruntime.c", "onnxruntime_api.h"), "tflite": ("litert.c", "litert_api.h")}
ROUNDING = {True: 0.05, False: 0.001}
"""Share of the largest output that outputs on another processor may differ by: of files with integers, and others."""
OTHER = "move it away, or name another file: `--out`"


@dataclass(frozen=True)
class Chosen:
    """A finished run, and the file of it that one target judges."""

    report: Report
    recipe: Recipe
    target: Target
    file: ModelFile
    folder: Path

    @property
    def path(self) -> Path:
        return Path(self.file.path)

    @property
    def name(self) -> str:
        """Return the name of the archive and of the folder in it; a target may be called anything."""
        target = re.sub(r"[^\w.-]+", "-", self.target.name, flags=re.ASCII).strip("-.") or "target"
        return f"{self.recipe.name}-{target}"


def bundle(run: str, *, target: str, out: Path | None, examples: bool, force: bool, cache: Path, runs: Path) -> Path:
    """Write the archive of a run's file for `target`; return its path. Raises: UserError."""
    chosen = choose(run, runs, target)
    require_fit(chosen, force)
    place = out or chosen.folder / f"{chosen.name}.zip"
    ownership.record(place, ownership.BUNDLE, OTHER)
    require_writable(Destination(place.parent, "`--out` names another file", place))
    contract = read(chosen.path, f"`edgepress run {chosen.report.source}` makes it anew")
    tolerance = ROUNDING[chosen.file.precision in (*PRESETS, "int8", "int16", "dynamic")]
    files = _files(chosen, contract, tolerance)
    if examples:
        from . import selftest

        files |= {"selftest.py": _template("selftest.py")} | selftest.files(chosen, contract, tolerance, cache)
    files["bom.cdx.json"] = sbom.text(chosen.report, chosen.recipe, chosen.file, contract).encode()
    files["README.md"] = card.text(chosen, contract, tolerance, [*files, "SHA256SUMS"]).encode()
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items())]
    files["SHA256SUMS"] = "".join(sums).encode()
    archive.write(place, chosen.name, files)
    return place


def choose(run: str, runs: Path, name: str) -> Chosen:
    """Return a run, by its recipe or folder, and its file for a target. Raises: UserError where one is not sound."""
    if (file := Path(run, REPORT)).is_file():
        path, folder = source(file), file.parent
        report, recipe, targets = of_file(file, path)
    else:
        path = find(run, "recipes")
        report, recipe, targets = last(path, runs)
        folder = runs / recipe.name
    named = [profile for profile in targets if profile.name == name]
    again = f"`edgepress run {path} --target {name}`"
    if not named:
        known = [profile.name for profile in targets]
        message = f"the last run of `{recipe.name}` has no target `{word(name)}`"
        raise UserError(message, suggest(name, known, f"{again} adds it" if known else again))
    if len(named) > 1:
        raise UserError(f"`{recipe.name}` has {len(named)} targets `{word(name)}`", "rename one of them")
    (target,) = named
    model = judge.judged(report, target)
    if model is None:
        raise UserError(f"no stage of `{recipe.name}` makes a file for `{word(name)}`", again)
    if not Path(model.path).is_file():
        raise UserError(f"`{model.path}` is missing", f"`edgepress run {path}` writes it again")
    if digest(Path(model.path)) != model.sha256:
        message = f"`{model.path}` is not the file that the run measured"
        raise UserError(message, f"move it away, and `edgepress run {path}` makes it anew")
    return Chosen(report, recipe, target, model, folder)


def require_fit(chosen: Chosen, force: bool) -> None:
    """Refuse a file that misses a budget. What is not decided is for the device to tell. Raises: UserError."""
    if force or judge.exit_code(judge.judge(chosen.report, [chosen.target])) != 1:
        return
    raise UserError(
        f"the file of `{chosen.recipe.name}` does not meet the budgets of `{word(chosen.target.name)}`",
        f"`edgepress check {chosen.report.source}` shows them; --force packs it nevertheless, and the card says so",
    )


def _files(chosen: Chosen, contract: dict[str, Any], tolerance: float) -> dict[str, bytes]:
    """Return the model and what runs it, by name."""
    kind, target = chosen.file.kind, chosen.target
    more = {"file": f"model.{kind}", "sha256": chosen.file.sha256, "threads": target.threads, "tolerance": tolerance}
    if "decode" in contract:  # with the defaults that the metadata leaves out
        more["decode"] = decoder.read(contract).model_dump(mode="json")
    files = {
        f"model.{kind}": chosen.path.read_bytes(),
        "model.json": (json.dumps(contract | more, indent=1, sort_keys=True) + "\n").encode(),
        "LICENSES/Apache-2.0.txt": _licence(),
        **{name: _template(name) for name in PYTHON},
        **{f"c/{name}": _template(name) for name in ("main.c", "model.h", *RUNNERS[kind])},
    }
    if kind == "onnx":
        files["LICENSES/MIT.txt"] = _template("onnxruntime.LICENSE")
    if "decode" in contract:
        files["boxes.py"] = _template("boxes.py")
    if chosen.recipe.task.data == text.NAME:
        files |= {"tokens.py": _template("tokens.py"), "vocabulary.json": text.VOCABULARY.read_bytes()}
    if labels := contract["labels"]:
        files["labels.txt"] = "".join(f"{' '.join(label.splitlines())}\n" for label in labels).encode(errors="replace")
    return files


def _template(name: str) -> bytes:
    return (TEMPLATES / name).read_bytes()


def _licence() -> bytes:
    """Return the licence of edgepress, whose runners these are: in the installed package, or in a checkout."""
    installed = SHIPPED / "LICENSE"
    return (installed if installed.is_file() else SHIPPED.parents[2] / "LICENSE").read_bytes()
