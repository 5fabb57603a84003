"""ONNX files whose graph is hostile: without an end, without a bottom, of other files, of names that are commands."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.torture.campaigns.networks import branches, functions, integers, real
from tests.torture.places import CLASSES, FEATURES, mlp, model

node = helper.make_node
NAMES = ("\x1b[31mred", "\n::error file=a::injected", "\u202eabc", "", "x" * 100_000, "../../x", "<script>", "%s%n")


def endless(random: Random) -> bytes:
    """A Loop whose condition stays true, of constants or of the input."""
    found = branches()
    start = random.choice(("b", "fixed"))
    for each in found.graph.initializer:
        if each.name == "trips":
            each.CopyFrom(numpy_helper.from_array(np.array(2**62), "trips"))
    found.graph.node[-1].input[2] = start
    found.graph.initializer.append(real("fixed", 1, CLASSES))
    return found.SerializeToString()


def growing(random: Random) -> bytes:
    """Concat of a tensor with itself, again and again: 2**steps numbers, of constants or of the input."""
    steps, start = random.choice((28, 34, 60)), random.choice(("w0", "h"))
    nodes = [node("MatMul", ["input", "w"], ["h"]), node("Identity", [start], ["x0"])]
    nodes += [node("Concat", [f"x{i}", f"x{i}"], [f"x{i + 1}"], axis=1) for i in range(steps)]
    nodes += [node("ReduceSum", [f"x{steps}"], ["sum"], keepdims=0), node("Add", ["h", "sum"], ["output"])]
    return model(nodes, [real("w", FEATURES, CLASSES), real("w0", 1, CLASSES)]).SerializeToString()


def nested(random: Random) -> bytes:
    """If in If in If."""
    inner = [node("Relu", ["h"], ["o"])]
    for _ in range(random.choice((10, 30))):
        out = [helper.make_tensor_value_info("o", 1, [1, CLASSES])]
        graph = helper.make_graph(inner, "g", [], out)
        inner = [
            node(
                "If",
                ["yes"],
                ["o"],
                then_branch=graph,
                else_branch=helper.make_graph([node("Neg", ["h"], ["o"])], "e", [], out),
            )
        ]
    nodes = [node("MatMul", ["input", "w"], ["h"]), *inner, node("Identity", ["o"], ["output"])]
    yes = numpy_helper.from_array(np.array(True), "yes")
    return model(nodes, [real("w", FEATURES, CLASSES), yes]).SerializeToString()


def recursive(random: Random) -> bytes:
    """A function that calls itself, or another that calls it."""
    found = functions()
    name = random.choice(("Twice", "Other"))
    found.functions[0].node.append(node(name, ["b"], ["c"], domain="mine"))
    found.functions[0].opset_import.append(helper.make_opsetid("mine", 1))
    other = helper.make_function(
        "mine", "Other", ["a"], ["b"], [node("Twice", ["a"], ["b"], domain="mine")], [helper.make_opsetid("mine", 1)]
    )
    found.functions.append(other)
    return found.SerializeToString()


def doubling(random: Random) -> bytes:
    """Functions that call the one before twice: 2**40 nodes when they are inlined."""
    found = functions()
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    for i in range(random.choice((16, 40))):
        before = "Twice" if i == 0 else f"F{i - 1}"
        calls = [node(before, ["a"], ["m"], domain="mine"), node(before, ["m"], ["b"], domain="mine")]
        found.functions.append(helper.make_function("mine", f"F{i}", ["a"], ["b"], calls, opsets))
        found.graph.node[0].op_type = f"F{i}"
    return found.SerializeToString()


def long(random: Random) -> bytes:
    """A chain of many nodes."""
    count, kind = random.choice((3000, 20000)), random.choice(("Identity", "Relu", "Neg"))
    nodes = [node("MatMul", ["input", "w"], ["x0"]), *(node(kind, [f"x{i}"], [f"x{i + 1}"]) for i in range(count))]
    nodes.append(node("Identity", [f"x{count}"], ["output"]))
    return model(nodes, [real("w", FEATURES, CLASSES)]).SerializeToString()


def circular(random: Random) -> bytes:
    found = mlp()
    first = random.randrange(3)
    found.graph.node[first].input[0] = found.graph.node[random.randrange(first, 3)].output[0]
    return found.SerializeToString()


def external(random: Random) -> bytes:
    """Weights that lie in another file."""
    found = mlp()
    tensor = random.choice(found.graph.initializer)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    place = random.choice(
        (
            "/etc/passwd",
            "/dev/zero",
            "../../../../etc/passwd",
            "x.npz",
            "fifo",
            ".",
            "",
            "nothing",
            "/proc/self/mem",
            "\x00",
            "m.onnx",
        )
    )
    entries = {
        "location": place,
        "offset": random.choice(("0", "-1", "9" * 30, "x")),
        "length": random.choice(("128", "-5", str(2**62), "")),
    }
    for key, value in entries.items():
        if random.random() < 0.7 or key == "location":
            tensor.external_data.add(key=key, value=value)
    return found.SerializeToString()


def wrong_initializer(random: Random) -> bytes:
    found = mlp()
    tensor = random.choice(found.graph.initializer)
    match random.randrange(6):
        case 0:
            tensor.raw_data = tensor.raw_data[:-3]
        case 1:
            tensor.dims[:] = random.choice(([2**40], [-1, 4], [2**32, 2**32], [0], []))
        case 2:
            tensor.data_type = random.choice((0, 2, 8, 9, 14, 16, 17, 22, 23, 99, -1))
        case 3:
            found.graph.initializer.append(tensor)
        case 4:
            tensor.float_data.extend([1.0] * 5)
        case 5:
            values = onnx.SparseTensorProto(values=tensor, indices=integers("i", 2**40, -1), dims=[2**50])
            found.graph.sparse_initializer.append(values)
    return found.SerializeToString()


def wrong_values(random: Random) -> bytes:
    found = mlp()
    tensor = random.choice(found.graph.initializer)
    array = numpy_helper.to_array(tensor).copy()
    array.flat[random.randrange(array.size) :] = random.choice((np.nan, np.inf, 3e38, 0, -0.0, 1e-45))
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return found.SerializeToString()


def wrong_ends(random: Random) -> bytes:
    """Inputs and outputs of other types, sizes, numbers."""
    found = mlp()
    ends = found.graph.input if random.random() < 0.6 else found.graph.output
    kind = ends[0].type.tensor_type
    match random.randrange(6):
        case 0:
            kind.elem_type = random.choice((0, 2, 6, 7, 8, 9, 10, 11, 14, 16, 17, 22, 99))
        case 1:
            kind.shape.dim[random.randrange(2)].dim_value = random.choice((-1, 0, 2, 2**31, 2**62))
        case 2:
            kind.shape.dim[random.randrange(2)].dim_param = random.choice(("n", "\x1b[31m", ""))
        case 3:
            kind.ClearField("shape")
        case 4:
            del ends[:]
        case 5:
            ends.append(ends[0])
            ends[1].name = "second"
    return found.SerializeToString()


def wrong_version(random: Random) -> bytes:
    found = mlp()
    found.ir_version = random.choice((0, 1, 3, 8, 2**31 - 1, -1))
    found.opset_import[0].version = random.choice((0, -1, 1, 5, 9999, 2**62))
    if random.random() < 0.3:
        del found.opset_import[:]
    return found.SerializeToString()


def named(random: Random) -> bytes:
    """Words that a terminal or a CI would obey, as names of everything."""
    found, word = mlp(), random.choice(NAMES)
    found.graph.name = found.producer_name = found.doc_string = found.graph.node[1].name = word
    found.metadata_props.add(key=word, value=word)
    if random.random() < 0.5:
        for each in found.graph.node:
            each.input[:] = [word if name == "input" else name for name in each.input]
        found.graph.input[0].name = word
    return found.SerializeToString()


def contract(random: Random) -> bytes:
    """Metadata of our own that does not hold together."""
    found = mlp()
    values = (
        "",
        "{",
        "[]",
        "null",
        '{"version": 99}',
        '{"version": 1, "inputs": 5}',
        '{"version":1,"inputs":[{"name":"\\u001b[31m"}]}',
        "[" * 5000,
    )
    found.metadata_props.add(key="edgepress", value=random.choice(values))
    return found.SerializeToString()


def little(random: Random) -> bytes:
    return random.choice(
        (
            b"",
            b"\x00",
            b"\n" * 99,
            b"PK\x03\x04",
            b"TFL3" * 9,
            onnx.ModelProto().SerializeToString(),
            b"{}",
            mlp().SerializeToString()[:40],
        )
    )


TABLE: dict[str, Callable[[Random], bytes]] = {
    each.__name__: each
    for each in (endless, growing, nested, recursive, doubling, long, circular, external, wrong_initializer,
                 wrong_values, wrong_ends, wrong_version, named, contract, little)
}  # fmt: skip
