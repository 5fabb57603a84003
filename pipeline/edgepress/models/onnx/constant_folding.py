"""Fold constants of an ONNX file in a fresh process: `GIVEN WRITTEN SECONDS BYTES`.

The result is that of onnxruntime's basic level. SECONDS of CPU time end the process, and BYTES bound its memory.
"""

from __future__ import annotations

import resource
import sys


def main(source: str, target: str, seconds: str, memory: str) -> None:
    import onnxruntime

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for kind, limit in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_DATA, memory)):
        hard = resource.getrlimit(kind)[1]  # the user's own bound, which may be lower
        finite = [each for each in (int(limit), hard) if each != resource.RLIM_INFINITY]
        resource.setrlimit(kind, (min(finite, default=hard), hard))
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = target
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4  # what is wrong is raised as well
    onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main(*sys.argv[1:])
