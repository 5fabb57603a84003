"""Follow a result to the model that it was quantized from."""

from __future__ import annotations

from ..core.results import Report, StageFacts
from .judge import host_file


def last_float(report: Report, name: str) -> StageFacts | None:
    """Return the nearest stage above the stage `name` whose file for this machine is float32; None without one."""
    stages = {stage.name: stage for stage in report.stages}
    stage, passed = stages.get(name), set[str]()
    while stage and stage.inputs and stage.name not in passed:
        passed.add(stage.name)
        stage = stages.get(stage.inputs[0])
        file = host_file(stage, report.machine) if stage else None
        if file and file.precision == "float32":
            return stage
    return None
