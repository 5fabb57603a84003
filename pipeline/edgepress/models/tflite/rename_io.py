"""Rename inputs and outputs of TFLite files by other converters.

They get the names and the metadata of files by `write`.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from .builder import packed
from .convert import METADATA


def named(data: bytes, inputs: list[str], outputs: list[str], metadata: dict[str, Any]) -> bytes:
    """Return the file with its one signature's inputs and outputs renamed, in that order, and with `metadata`.

    The signature of `data` numbers them: `args_0`, `args_1`, …, `output_0`, ….
    """
    model = schema.ModelT.InitFromPackedBuf(data)
    (graph,), (signature,) = model.subgraphs, model.signatureDefs
    for entries, names, side in ((signature.inputs, inputs, "inputs"), (signature.outputs, outputs, "outputs")):
        entries.sort(key=lambda entry: int(entry.name.rsplit(b"_", 1)[1]))
        assert len(entries) == len(names), f"{len(entries)} {side}, and {len(names)} names"
        for entry, name in zip(entries, names, strict=True):
            entry.name = name
            graph.tensors[entry.tensorIndex].name = name
        setattr(graph, side, np.array([entry.tensorIndex for entry in entries], np.int32))
    described = np.frombuffer(json.dumps(metadata, sort_keys=True).encode(), np.uint8)
    model.metadata = [*(model.metadata or []), schema.MetadataT(name=METADATA, buffer=len(model.buffers))]
    model.buffers.append(schema.BufferT(data=described))
    return packed(model)
