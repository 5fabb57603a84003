"""Find what an int8 file is compared with: the run that made it, its float file, and inputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...config.recipe import load
from ...core import ownership, stored
from ...core.errors import UserError
from ...core.paths import digest
from ...core.printable import word
from ...core.results import Report, StageFacts
from ...engine.cache import Cache
from ...engine.last import REPORT, require_no_code
from ...engine.setup import Setup
from ...models import metadata
from ...models.predict import laid_out
from ...stages.quantize.division import divided, spread

SAMPLES = 256
"""Examples that ranges come from, by default."""
EXAMPLES, RANDOM = 32, 8
"""Validation examples that are compared, which no range was calibrated on; random ones of a file without a run."""
Columns = tuple[np.ndarray, ...]


class Origin(NamedTuple):
    """The run that made a file: its report, and the stage of the file."""

    report: Report
    stage: StageFacts
    folder: Path


def require_onnx(path: Path) -> None:
    """Raises: UserError for any other file."""
    if path.suffix != ".onnx":
        help = "name the ONNX file that it was converted from: what it loses as integers, it loses there"
        raise UserError(f"`{path}` is no ONNX file, and only these are compared by operator", help)


def onnx_of(path: Path) -> Path:
    """Return the ONNX file that a TFLite file of a run was converted from; any other file as it is."""
    origin = origin_of(path) if path.suffix == ".tflite" else None
    if origin is None:
        return path
    precision = next(file.precision for file in origin.stage.files)
    source = next(stage for stage in origin.report.stages if stage.name == origin.stage.inputs[0])
    files = {file.precision: file.path for file in source.files}
    return Path(files.get(precision, source.files[0].path)) if source.kind == "onnx" else path


def origin_of(path: Path) -> Origin | None:
    """Return the run whose folder the file lies in; None for a file that no run made, or that was changed since."""
    report = path.resolve().parent.parent / REPORT
    if not report.is_file() or not ownership.is_record(report, ownership.REPORT):
        return None
    results = stored.read(report, Report, stored.of_report, "move it away, and run the recipe again")
    own = digest(path)
    stage = next((stage for stage in results.stages if any(file.sha256 == own for file in stage.files)), None)
    return Origin(results, stage, report.parent) if stage else None


def float_of(origin: Origin | None, path: Path, floats: Path | None) -> Path:
    """Return `floats`, or the float file that the run made `path` from. Raises: UserError where there is none."""
    found = floats or (float_file(origin) if origin else None)
    if found is None or not found.is_file():
        what = f"`{found}` is not there" if found else f"no run is known that made `{path}`"
        raise UserError(f"{what}, so there is no float file to compare with", "name it: `--float FILE`")
    return found


def float_file(origin: Origin) -> Path | None:
    """Return the file of the nearest stage above that is a float ONNX model."""
    stages = {stage.name: stage for stage in origin.report.stages}
    stage: StageFacts | None = origin.stage
    while stage and stage.inputs:
        stage = stages[stage.inputs[0]]
        if stage.kind == "onnx" and stage.files[0].precision == "float32":
            return Path(stage.files[0].path)
    return None


def converted_of(origin: Origin, path: Path) -> Path | None:
    """Return the TFLite file that was converted from the ONNX file of the same run; None where there is none."""
    made = (stage for stage in origin.report.stages if stage.kind == "tflite" and stage.inputs == [origin.stage.name])
    files = (Path(file.path) for stage in made for file in stage.files)
    return next((file for file in files if file.is_file() and onnx_of(file).name == path.name), None)


def inputs_of(origin: Origin | None, paths: Sequence[Path], cache: Path) -> tuple[list[Columns], str]:
    """Return the same inputs as each of the files takes them, and what they are."""
    if origin is None:
        return [_random(path) for path in paths], "random inputs, as no run has others"
    recipe = Path(origin.report.source)
    if not recipe.is_file():
        help = "run the command in the folder of the run"
        raise UserError(f"`{word(recipe)}`, the recipe of this run, is not there, and its data are compared on", help)
    chosen = load(recipe, origin.report.data.get("set", ()))
    require_no_code(chosen, "state it in the recipe, and `edgepress run` it again")
    setup = Setup(chosen, Cache(cache), origin.report.limited)
    x, y = setup.data["validation"]
    stages = {step.label: step.stage for step in setup.recipe.steps()}
    _, held = divided(len(y), getattr(stages.get(origin.stage.name), "samples", SAMPLES))
    rows = held[spread(len(held), EXAMPLES)]
    taken = [metadata.to_model_inputs(metadata.read(path), setup.data, x[rows]) for path in paths]
    return [laid_out(path, columns) for path, columns in zip(paths, taken, strict=True)], "validation examples"


def _random(path: Path) -> Columns:
    """Return normal random numbers, or small integers, for each input of a file; open sides are 1."""
    import onnx
    from onnx import helper

    random, graph = np.random.default_rng(0), onnx.load(path, load_external_data=False).graph
    constants = {tensor.name for tensor in graph.initializer}
    columns = []
    for value in graph.input:
        if value.name in constants:
            continue
        kind = value.type.tensor_type
        shape = (RANDOM, *(side.dim_value or 1 for side in kind.shape.dim[1:]))
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        values = random.standard_normal(shape) if dtype.kind == "f" else random.integers(0, 2, shape)
        columns.append(values.astype(dtype))
    return tuple(columns)


def remark(origin: Origin | None) -> str:
    """Return why operators of a file cannot be compared one by one, if they cannot."""
    ladder = origin.stage.notes.get("ladder") if origin else None
    steps = [step for step in ladder if isinstance(step, dict)] if isinstance(ladder, list) else []
    if any(step.get("kept") and str(step.get("step")).startswith("equalisation") for step in steps):
        return (
            "cross-layer equalization was kept: channels of some layers have other scales than in the float file, and "
            "a low SQNR or a negative gain of these is no loss"
        )
    return ""
