"""Weights beside a file count as its own."""

import numpy as np
import onnx
from edgepress.core.model_size import stored_bytes
from onnx import helper, numpy_helper


def test_weights_in_another_file_count(tmp_path):
    weights = numpy_helper.from_array(np.zeros((64, 64), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", 1, [1, 64])],
        [helper.make_tensor_value_info("y", 1, [1, 64])],
        [weights],
    )
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph), path, save_as_external_data=True, location="m.data", size_threshold=0)
    assert stored_bytes(path) == path.stat().st_size + 64 * 64 * 4
    (tmp_path / "m.data").unlink()
    assert stored_bytes(path) == path.stat().st_size
    path.write_bytes(b"location, and no ONNX file")
    assert stored_bytes(path) == path.stat().st_size
