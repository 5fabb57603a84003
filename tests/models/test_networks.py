"""Every network answers as its export does, learns, and says what is wrong with its arguments."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import onnx
import onnxruntime
import onnxsim
import pytest
import torch
import torch_pruning
from edgepress.core.errors import UserError
from edgepress.data.dataset import Input
from edgepress.models.networks import MAPS, NETS, create

SERIES = Input("series", "series", (3, 50), 1.0, (0.0,) * 3, (1.0,) * 3)
SHORT = Input("short", "series", (2, 3), 1.0, (0.0,) * 2, (1.0,) * 2)
WORDS = Input("words", "tokens", (9,), vocabulary=40)
USER, ITEM = Input("user", "tokens", (1,), vocabulary=20), Input("item", "tokens", (1,), vocabulary=30)
NUMBERS = Input("numbers", "numbers", (5,), 1.0, (0.0,) * 5, (1.0,) * 5)

CASES: list[tuple[str, list[Input], dict[str, Any]]] = [
    ("conv1d", [SERIES], {}),
    ("conv1d", [SERIES], {"width": 7, "depth": 5, "kernel": 3}),
    ("conv1d", [SHORT], {"width": 1, "depth": 1, "kernel": 1}),
    ("text", [WORDS], {}),
    ("text", [WORDS], {"width": 13, "kernel": 1}),
    ("mlp", [NUMBERS], {"width": 11, "depth": 1}),
    ("mlp", [NUMBERS, SERIES], {}),
    ("two-tower", [USER, ITEM], {}),
    ("two-tower", [USER, NUMBERS, WORDS, ITEM], {"width": 5, "hidden": 9, "depth": 2}),
    ("attention", [WORDS], {"width": 12, "heads": 3, "depth": 1}),
    ("attention", [SERIES], {}),
    ("attention", [SHORT], {"width": 4, "heads": 1}),
]
OPERATORS = {
    "Add", "AveragePool", "Concat", "Conv", "Gather", "Gemm", "LayerNormalization", "MatMul", "MaxPool", "Mul",
    "ReduceMean", "Relu", "Reshape", "Softmax", "Transpose",
}  # fmt: skip
"""What a converter of these networks has to read."""


def given(inputs: list[Input], rows: int) -> list[torch.Tensor]:
    random = np.random.default_rng(0)
    return [
        torch.from_numpy(
            random.integers(0, each.vocabulary, (rows, *each.shape))
            if each.kind == "tokens"
            else random.standard_normal((rows, *each.shape)).astype(np.float32)
        )
        for each in inputs
    ]


@pytest.mark.parametrize(("name", "inputs", "args"), CASES)
def test_export_answers_as_torch(name: str, inputs: list[Input], args: dict[str, Any], tmp_path: Any) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    torch.manual_seed(0)
    module = create(f"edgepress/{name}", inputs, 3, args)
    module(*given(inputs, 8))  # in training, so that batch normalisation has statistics to fold
    x = tuple(given(inputs, 1))
    names = [each.name for each in inputs]
    program = torch.onnx.export(
        module.eval(), x, dynamo=True, opset_version=18, input_names=names, external_data=False, verbose=False
    )
    assert program is not None
    model, same = onnxsim.simplify(program.model_proto)
    assert same
    assert {node.op_type for node in model.graph.node} <= OPERATORS
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {key: each.numpy() for key, each in zip(names, x, strict=True)})
    assert answer.shape == (1, 3)
    np.testing.assert_allclose(answer, module(*x).detach().numpy(), atol=1e-4)


@pytest.mark.parametrize(("name", "inputs", "args"), CASES)
def test_every_input_and_every_weight_counts(name: str, inputs: list[Input], args: dict[str, Any]) -> None:
    torch.manual_seed(0)
    module = create(name, inputs, 3, {**args, "dropout": 0.0})
    x = given(inputs, 16)
    module(*x).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())
    module.eval()
    before = module(*x)
    for i, each in enumerate(x):
        other = [*x[:i], each.flip(0), *x[i + 1 :]]
        assert not torch.allclose(module(*other), before), f"input {i} is not looked at"


@pytest.mark.parametrize("name", [name for name in NETS if name not in MAPS])
def test_one_example_can_be_learnt_from(name: str) -> None:
    """The last batch of an epoch may hold one; batch normalisation of a single row has no variance."""
    _, inputs, args = next(case for case in CASES if case[0] == name)
    assert create(name, inputs, 3, args)(*given(inputs, 1)).isfinite().all()


@pytest.mark.parametrize(("name", "inputs"), [("conv1d", [SERIES]), ("mlp", [NUMBERS])])
def test_channels_can_be_pruned(name: str, inputs: list[Input]) -> None:
    module = create(name, inputs, 3, {"width": 32}).eval()
    before = sum(p.numel() for p in module.parameters())
    last = [m for m in module.modules() if isinstance(m, torch.nn.Linear)][-1]
    importance = torch_pruning.importance.GroupMagnitudeImportance(p=2)
    pruner = torch_pruning.pruner.BasePruner(
        module, tuple(given(inputs, 1)), importance=importance, pruning_ratio=0.5, round_to=8, ignored_layers=[last]
    )
    pruner.step()
    assert sum(p.numel() for p in module.parameters()) < before * 0.6
    assert module(*given(inputs, 4)).shape == (4, 3)


@pytest.mark.parametrize(
    ("name", "inputs", "args", "message", "help"),
    [
        ("conv2d", [SERIES], {}, "no network `conv2d`", "did you mean `conv1d`?"),
        ("conv1d", [SERIES], {"widht": 8}, "takes no `widht`", "did you mean `width`?"),
        ("conv1d", [SERIES], {"inputs": 8}, "takes no `inputs`", "depth, dropout, kernel, width"),
        ("conv1d", [SERIES], {"width": "8"}, "is '8', not a whole number", ""),
        ("conv1d", [SERIES], {"width": True}, "is True, not a whole number", ""),
        ("conv1d", [SERIES], {"width": 1.5}, "is 1.5, not a whole number", ""),
        ("conv1d", [SERIES], {"width": 0}, "`width` of `edgepress/conv1d` is 0", "at least 1"),
        ("conv1d", [SERIES], {"dropout": 1}, "`dropout` of `edgepress/conv1d` is 1", "less than 1"),
        ("conv1d", [SERIES], {"dropout": float("nan")}, "is nan", "less than 1"),
        ("conv1d", [SERIES], {"kernel": 4}, "`kernel` of `edgepress/conv1d` is 4", "odd"),
        ("conv1d", [SERIES], {"depth": 6}, "halves a series of 50 to nothing", "at most 5"),
        ("conv1d", [WORDS], {}, "takes one input of series; the data gives tokens `words`", "tokens `text`"),
        ("text", [WORDS, WORDS], {}, "takes one input of tokens", "`two-tower`"),
        ("mlp", [NUMBERS, USER], {}, "takes numbers, series or images", ""),
        ("two-tower", [USER, NUMBERS], {}, "two or more inputs of tokens", ""),
        ("two-tower", [USER, ITEM, SERIES], {}, "series `series`", ""),
        ("attention", [NUMBERS], {}, "tokens or a series", ""),
        ("attention", [WORDS], {"width": 10, "heads": 4}, "`width: 10` is not a multiple of `heads: 4`", ""),
    ],
)
def test_mistakes_are_told(name: str, inputs: list[Input], args: dict[str, Any], message: str, help: str) -> None:
    with pytest.raises(UserError) as error:
        create(f"edgepress/{name}", inputs, 3, args)
    (problem,) = error.value.problems
    assert message in problem.message
    assert help in problem.help
