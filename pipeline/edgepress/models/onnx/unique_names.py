"""Rename tensors of a graph whose names a quantizer would give to others.

onnxruntime's quantizer calls what it adds after the tensor: `w_quantized`, `w_scale`, `x_QuantizeLinear_Output`. A file
that was quantized and undone has such names already.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator

import onnx

_OURS = "int8|float16|cast|scale|real|start|end|axis"
"""What `packed_weights` and TFLite's passes put behind a name."""
_ADDED = re.compile(rf"_(quantized|zero_point|(De)?[qQ]uantizeLinear(_(Out|In)put)?|{_OURS})(_\d+)?$")


def separate(model: onnx.ModelProto) -> None:
    """Rename tensors inside the graph that are called as an addition to another; inputs and outputs keep theirs.

    Where an input or output itself is called so, the other one is renamed; an input gets a copy to be known by.
    """
    graph = model.graph
    ends = [*dict.fromkeys(value.name for value in (*graph.input, *graph.output))]
    names = dict.fromkeys((*ends, *(tensor.name for tensor in graph.initializer), *_computed(graph)))
    changes: dict[str, str] = {}
    for name in names:
        bases = [base for base in _bases(name) if base in names]
        if name not in ends and (bases or name.endswith("_quantized")):
            changes[name] = free_name(name, {*names, *changes.values()})
        elif name in ends:
            changes |= {base: free_name(base, {*names, *changes.values()}) for base in bases if base not in changes}
    _rename(graph, changes)
    for value in graph.input:
        if value.name in changes:
            graph.node.insert(0, _copy(value.name, changes[value.name]))
    graph.node.extend(_copy(changes[value.name], value.name) for value in graph.output if value.name in changes)
    _number_nodes(graph)


def _bases(name: str) -> Iterator[str]:
    """Yield the names that `name` is an addition to: `w_quantized_scale` is one to `w_quantized` and to `w`."""
    while match := _ADDED.search(name):
        name = name[: match.start()]
        yield name


def _computed(graph: onnx.GraphProto) -> Iterator[str]:
    return (name for node in graph.node for name in node.output if name)


def free_name(name: str, taken: Collection[str]) -> str:
    """Return `name`, with as many underscores behind it as it takes to be none of `taken`."""
    return next(new for count in itertools.count() if (new := name + "_" * count) not in taken)


def _copy(source: str, target: str) -> onnx.NodeProto:
    return onnx.helper.make_node("Identity", [source], [target], f"{target}_copy")


def _rename(graph: onnx.GraphProto, changes: dict[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [changes.get(name, name) for name in node.input]
        node.output[:] = [changes.get(name, name) for name in node.output]
    for entry in (*graph.initializer, *graph.value_info):
        entry.name = changes.get(entry.name, entry.name)


def _number_nodes(graph: onnx.GraphProto) -> None:
    taken = {node.name for node in graph.node}
    seen: set[str] = set()
    for node in graph.node:
        if node.name and node.name in seen:
            node.name = next(new for count in itertools.count(1) if (new := f"{node.name}_{count}") not in taken)
            taken.add(node.name)
        seen.add(node.name)
