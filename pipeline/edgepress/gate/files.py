"""Select the file of a run that a target judges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..config.target import Target
from ..core.errors import UserError
from ..core.paths import digest
from ..core.presets import PRESETS, host_preset
from ..core.results import Machine, ModelFile, Report, StageFacts
from ..core.runtimes import RUNTIMES


def file_of(stage: StageFacts, preset: str) -> ModelFile | None:
    """Return the file of a stage that a runtime with this integer preset loads: that preset's, or the one for all."""
    for file in stage.files:
        for_all = stage.kind == "tflite" or (file.precision not in PRESETS and len(stage.files) == 1)
        if for_all or file.precision == preset:
            return file
    return None


def host_file(stage: StageFacts, machine: Machine) -> ModelFile | None:
    """Return the file of a stage that this machine runs."""
    return file_of(stage, host_preset(machine))


def last_files(report: Report, target: Target) -> list[ModelFile]:
    """Return the last ONNX and the last TFLite file in the target's preset, whichever of them its runtime loads."""
    files = []
    for kind in ("onnx", "tflite"):
        last = next((stage for stage in reversed(report.stages) if stage.kind == kind), None)
        if last and (file := file_of(last, target.integers(report.machine))):
            files.append(file)
    return files


def judged(report: Report, target: Target) -> ModelFile | None:
    """Return the last artifact that the target's runtime loads, in the target's preset."""
    kind = RUNTIMES[target.runtime].kind
    last = next((stage for stage in reversed(report.stages) if stage.kind == kind), None)
    return file_of(last, target.integers(report.machine)) if last else None


def verify(report: Report, targets: Sequence[Target]) -> None:
    """Check that the judged files are still those of the run; a file that is no longer there is not checked.

    Raises: UserError: a verdict on measurements of another file would be about nothing that can be delivered.
    """
    for file in filter(None, [judged(report, target) for target in targets]):
        path = Path(file.path)
        if path.is_file() and digest(path) != file.sha256:
            help = f"move it away, and `edgepress run {report.source}` makes it anew"
            raise UserError(f"`{path}` is not the file that the last run measured", help)


def weigh(report: Report, targets: Sequence[Target], where: Path) -> None:
    """Check the sizes that the report at `where` has of the judged files. Raises: UserError for one that was edited."""
    for file in filter(None, [judged(report, target) for target in targets]):
        path = Path(file.path)
        if path.is_file() and path.stat().st_size != file.bytes and digest(path) == file.sha256:
            message = f"`{where}` is damaged: `{path}` has {path.stat().st_size} bytes, and not {file.bytes}"
            raise UserError(message, f"move it away, and `edgepress run {report.source}` makes it anew")
