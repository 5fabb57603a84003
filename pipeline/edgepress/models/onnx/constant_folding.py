"""Fold constants of an ONNX file in a fresh process: `GIVEN WRITTEN`.

The result is that of onnxruntime's basic level.
"""

from __future__ import annotations

import sys


def main(source: str, target: str) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = target
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4  # what is wrong is raised as well
    onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main(*sys.argv[1:])
