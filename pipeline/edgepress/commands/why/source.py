"""Group the nodes of an ONNX file into the operators that onnxruntime runs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import UserError, first_line

if TYPE_CHECKING:
    import onnx

CONVERSIONS = ("QuantizeLinear", "DequantizeLinear")
"""They belong to what they finish, or prepare, where nothing runs them by themselves."""


class Source:
    """A file's graph: its nodes by number, who computes what they take, and the bytes that each one holds.

    Attributes:
        nodes: in the file's order.
        size: bytes of the file, with those of its external data.
        fixed: numbers of nodes whose inputs are all constants, such as what unpacks a weight; they have no layer.
    """

    def __init__(self, path: Path) -> None:
        import onnx.inliner
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

        try:
            model = onnx.load(path, load_external_data=False)
        except DecodeError as error:
            raise UserError(f"`{path}` cannot be read as ONNX: {error}", "is it a whole model?") from error
        if model.functions:
            try:
                model = onnx.inliner.inline_local_functions(model)
            except RuntimeError as error:
                raise UserError(f"`{path}` calls a function otherwise than it is: {first_line(error)}") from error
        self.nodes = list(model.graph.node)
        self._shapes = _shapes(model)
        self.size = path.stat().st_size + sum(
            (path.parent / name).stat().st_size for name in _external(model.graph) if (path.parent / name).is_file()
        )
        tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        inputs = {input.name for input in model.graph.input} - tensors.keys()
        self._maker = {name: number for number, node in enumerate(self.nodes) for name in node.output if name}
        self.fixed: set[int] = set()
        constant = set(tensors)
        for number, node in enumerate(self.nodes):
            if all(name in constant for name in _read(node)) and not _read(node) & inputs:
                self.fixed.add(number)
                constant |= set(node.output)
        self._users: dict[int, list[int]] = defaultdict(list)
        for number, node in enumerate(self.nodes):
            for name in _read(node):
                if name in self._maker:
                    self._users[self._maker[name]].append(number)
        self._held: dict[int, list[tuple[str, onnx.TensorProto]]] = defaultdict(list)
        seen: set[str] = set()
        for number, node in enumerate(self.nodes):
            taken = dict.fromkeys([*node.input, *sorted(_read(node))])
            for name in [name for name in taken if name in tensors and name not in seen]:
                seen.add(name)
                self._held[self.user(number)].append((name, tensors[name]))
            self._held[self.user(number)] += [("", tensor) for tensor in _attributes(node)]

    def user(self, number: int) -> int:
        """Return the node itself, or the first that takes the result of a fixed one."""
        while number in self.fixed and self._users[number]:
            number = self._users[number][0]
        return number

    def before(self, number: int) -> list[int]:
        """Return the nodes that compute its inputs, constants left out."""
        makers = [self._maker[name] for name in _read(self.nodes[number]) if name in self._maker]
        return sorted(set(makers) - self.fixed)

    def after(self, number: int) -> list[int]:
        return self._users[number]

    def bytes(self, number: int) -> int:
        """Return the bytes of its constants as the file stores them; a shared constant counts for its first user."""
        return sum(_stored(tensor) for _, tensor in self._held[number])

    def name(self, number: int) -> str:
        """Return the name of its weight, where that is a path; else its own, or that of its output."""
        weights = [
            name for name, tensor in self._held[number] if tensor.dims and re.search(r"[A-Za-z_]\w*[./]\w", name)
        ]
        if weights and self.nodes[number].op_type not in CONVERSIONS:
            return re.sub(r"(_quantized|_int8|_float16)$", "", weights[0])
        return self.nodes[number].name or next(iter(self.nodes[number].output), self.nodes[number].op_type)

    def shape(self, number: int) -> tuple[int, ...]:
        """Return the shape of its first output; empty where the file leaves it open."""
        return self._shapes.get(next(iter(self.nodes[number].output), ""), ())

    def activates(self, number: int) -> bool:
        """Whether others take what the node gives and, of a sigmoid, multiply it with what it took itself: a SiLU."""
        node, users = self.nodes[number], [self.nodes[user] for user in self._beyond(number)]
        if node.op_type not in ("Sigmoid", "HardSigmoid"):
            return bool(users)
        own = self._root(node.input[0])
        return any(user.op_type == "Mul" and own in map(self._root, user.input) for user in users)

    def _beyond(self, number: int) -> list[int]:
        """Return the users of a node's output, conversions left out."""
        users = self._users[number]
        return [
            beyond
            for user in users
            for beyond in (self._beyond(user) if self.nodes[user].op_type in CONVERSIONS else [user])
        ]

    def _root(self, name: str) -> str:
        """Return the tensor before it was quantized and back again."""
        while (number := self._maker.get(name)) is not None and self.nodes[number].op_type in CONVERSIONS:
            name = self.nodes[number].input[0]
        return name

    def groups(self, run: Mapping[int, str]) -> dict[int, list[int]]:
        """Return all nodes that are not fixed, by the one of `run` whose operator computes them; in the file's
        order.

        `run` has the operator of onnxruntime by the node that is called by it: of a Conv with a Relu behind it, either.
        """
        owner = {number: number for number in run}
        for number, op in run.items():
            if not alike(op, self.nodes[number].op_type):
                for fused in self._fused(number, op, owner):
                    owner[fused] = number
        free = [number for number in range(len(self.nodes)) if number not in self.fixed]
        for number in free:  # what follows is computed with what it follows
            if number not in owner and self.nodes[number].op_type != "DequantizeLinear":
                owners = [owner[source] for source in self.before(number) if source in owner]
                owner |= {number: max(owners)} if owners else {}
        for number in reversed(free):  # and integers become floats for what takes them
            users = [owner[user] for user in self.after(number) if user in owner]
            if number not in owner and users:
                owner[number] = min(users)
        groups_: dict[int, list[int]] = {number: [] for number in sorted(run)}
        for number in sorted(owner):
            groups_[owner[number]].append(number)
        return groups_

    def _fused(self, number: int, op: str, owner: Mapping[int, int]) -> list[int]:
        """Return the nodes back to the one that named the operator, or to those that others compute."""
        fused, todo = [], self.before(number)
        while todo:
            before = todo.pop()
            if before in owner or before in fused:
                continue
            fused.append(before)
            if alike(op, self.nodes[before].op_type):
                return fused
            todo += self.before(before)
        return fused


def alike(op: str, source: str) -> bool:
    """Whether an operator of onnxruntime is this one of ONNX: QLinearConv and FusedConv are Conv."""
    return _plain(op) == _plain(source)


def _plain(op: str) -> str:
    return re.sub(r"^(QLinear|DynamicQuantize(?!Linear)|Fused|Skip|Q(?=Gemm))|Integer$", "", op)


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Return fixed shapes by name, as far as ONNX infers them."""
    import onnx

    try:
        graph = onnx.shape_inference.infer_shapes(model).graph
    except (ValueError, onnx.shape_inference.InferenceError):  # beyond 2 GB, or not to be inferred
        graph = model.graph
    shapes = {
        tensor.name: tuple(side.dim_value for side in tensor.type.tensor_type.shape.dim)
        for tensor in [*graph.value_info, *graph.output]
    }
    return {name: shape for name, shape in shapes.items() if all(shape)}


def _read(node: onnx.NodeProto) -> set[str]:
    """Return the inputs of a node, and those that its inner graphs take from outside."""
    names = {name for name in node.input if name}
    for graph in _graphs(node):
        inner_names = {tensor.name for tensor in [*graph.input, *graph.initializer]}
        for inner in graph.node:
            names |= _read(inner) - inner_names
            inner_names |= set(inner.output)
        names |= {tensor.name for tensor in graph.output} - inner_names
    return names


def _graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _attributes(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    """Yield tensors in the node itself, or in its inner graphs."""
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
    for graph in _graphs(node):
        yield from graph.initializer
        for inner in graph.node:
            yield from _attributes(inner)


def _external(graph: onnx.GraphProto) -> set[str]:
    """Return the files beside it that hold tensors."""
    tensors = [*graph.initializer, *(tensor for node in graph.node for tensor in _attributes(node))]
    return {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}


_DATA = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")


def _stored(tensor: Any) -> int:
    """Return the bytes of a tensor's numbers in the file."""
    if length := next((int(entry.value) for entry in tensor.external_data if entry.key == "length"), 0):
        return length
    if tensor.raw_data:
        return len(tensor.raw_data)
    bare = type(tensor)()
    bare.CopyFrom(tensor)
    for name in _DATA:
        bare.ClearField(name)
    return int(tensor.ByteSize() - bare.ByteSize())
