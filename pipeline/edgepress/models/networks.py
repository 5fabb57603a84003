"""Define small networks for series, tokens and columns of numbers.

timm has none for these.

Each takes one tensor an input, in the order of the data set's inputs, with a batch in front, and answers
(batch, outputs). Shapes are fixed when a network is built, so that the graph holds no arithmetic on shapes;
batch normalisation stands only behind convolutions, into which it folds.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..core.errors import UserError, suggest
from .dense import espcn

if TYPE_CHECKING:
    from ..data.dataset import Input


def create(name: str, inputs: Sequence[Input], outputs: int | Sequence[int], args: Mapping[str, Any]) -> nn.Module:
    """Build `edgepress/NAME` with fresh weights; one of `MAPS` takes the shape of its output, others its length.

    Raises: UserError when name, inputs or arguments do not fit.
    """
    short = name.removeprefix("edgepress/")
    if short not in NETS:
        raise UserError(f"edgepress has no network `{short}`", suggest(short, NETS))
    build = NETS[short]
    known = {
        key: parameter.default
        for key, parameter in inspect.signature(build).parameters.items()
        if parameter.kind == parameter.KEYWORD_ONLY
    }
    for key, value in args.items():
        if key not in known:
            raise UserError(f"`edgepress/{short}` takes no `{key}`", suggest(key, known))
        integer = isinstance(known[key], int)
        if isinstance(value, bool) or not isinstance(value, int if integer else (int, float)):
            raise UserError(f"`{key}` of `edgepress/{short}` is {value!r}, not a {'whole ' * integer}number")
        if not (value >= 1 if integer else 0 <= value < 1):
            limits = "is at least 1" if integer else "is from 0 to less than 1"
            raise UserError(f"`{key}` of `edgepress/{short}` is {value}", f"it {limits}")
    return build(inputs, outputs, **args)


def conv1d(
    inputs: Sequence[Input],
    outputs: int,
    *,
    width: int = 32,
    depth: int = 3,
    kernel: int = 5,
    dropout: float = 0.2,
) -> nn.Module:
    """Build `depth` convolutions of `width`, 2·`width`, … channels on a series, each halving it; a mean; a layer."""
    channels, length = _only("conv1d", inputs, "series").shape
    _odd("conv1d", kernel)
    if length >> depth == 0:
        most = length.bit_length() - 1
        raise UserError(f"`depth: {depth}` halves a series of {length} to nothing", f"it is at most {most}")
    layers: list[nn.Module] = []
    for wide in (width * 2**block for block in range(depth)):
        layers += [*_convolution(channels, wide, kernel), nn.MaxPool1d(2)]
        channels = wide
    return nn.Sequential(
        *layers, nn.AvgPool1d(length >> depth), nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels, outputs)
    )


def text(inputs: Sequence[Input], outputs: int, *, width: int = 64, kernel: int = 3, dropout: float = 0.5) -> nn.Module:
    """Build an embedding, one convolution over `kernel` words, its maximum over places (Kim, 2014), and a layer.

    `kernel: 1` makes of it a bag of words, whose order does not count.
    """
    tokens = _only("text", inputs, "tokens")
    _odd("text", kernel)
    return nn.Sequential(
        _embedding(tokens, width),
        nn.Dropout(dropout),
        _Swap(),
        *_convolution(width, width, kernel),
        nn.MaxPool1d(tokens.shape[0]),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(width, outputs),
    )


def mlp(inputs: Sequence[Input], outputs: int, *, width: int = 128, depth: int = 2, dropout: float = 0.1) -> nn.Module:
    """Build `depth` hidden layers of `width` over all values in one row; not for tokens."""
    if any(input.kind == "tokens" for input in inputs):
        raise _reject_input("mlp", "numbers, series or images", inputs)
    return _Rows(_hidden(sum(prod(input.shape) for input in inputs), width, depth, dropout, outputs))


def two_tower(
    inputs: Sequence[Input], outputs: int, *, width: int = 16, hidden: int = 64, depth: int = 1, dropout: float = 0.2
) -> nn.Module:
    """Build towers for tokens, such as user and item, and numbers about them (He et al., 2017, neural matrix factors).

    Each input of tokens has an embedding of `width`; these, their product, and the numbers go through `depth` hidden
    layers of `hidden`.
    """
    if sum(input.kind == "tokens" for input in inputs) < 2 or any(
        input.kind not in ("tokens", "numbers") for input in inputs
    ):
        raise _reject_input("two-tower", "two or more inputs of tokens, and numbers", inputs)
    return _TwoTower(inputs, outputs, width, hidden, depth, dropout)


def attention(
    inputs: Sequence[Input], outputs: int, *, width: int = 64, depth: int = 2, heads: int = 4, dropout: float = 0.2
) -> nn.Module:
    """Build `depth` encoder blocks of a transformer (Vaswani et al., 2017) for tokens or a series, norm first.

    A series is read in patches of four samples. Padding is a word like others, which the network learns to pass over.
    """
    if len(inputs) != 1 or inputs[0].kind not in ("tokens", "series"):
        raise _reject_input("attention", "tokens or a series", inputs)
    if width % heads:
        raise UserError(f"`width: {width}` is not a multiple of `heads: {heads}`")
    input = inputs[0]
    if input.kind == "tokens":
        length = input.shape[0]
        first: list[nn.Module] = [_embedding(input, width)]
    else:
        patch = min(4, input.shape[1])
        length = input.shape[1] // patch
        first = [nn.Conv1d(input.shape[0], width, patch, patch), _Swap()]
    return nn.Sequential(
        *first,
        _Positions(length, width),
        *(_Block(length, width, heads, dropout) for _ in range(depth)),
        nn.LayerNorm(width),
        _Mean(),
        nn.Linear(width, outputs),
    )


NETS: dict[str, Callable[..., nn.Module]] = {
    "attention": attention, "conv1d": conv1d, "espcn": espcn, "mlp": mlp, "text": text, "two-tower": two_tower,
}  # fmt: skip
"""What a recipe's `arch: edgepress/…` may say; keyword arguments are its `args:`."""
MAPS = ("espcn",)
"""Those whose output is a map, not a vector."""


class _Swap(nn.Module):
    """(batch, length, width) to (batch, width, length), and back."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


class _Mean(nn.Module):
    """(batch, length, width) to (batch, width)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1) if x.shape[1] > 1 else x.flatten(1)


class _Rows(nn.Module):
    """All inputs, flattened, beside each other."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, *inputs: Tensor) -> Tensor:
        rows = [x.flatten(1) for x in inputs]
        return self.layers(torch.cat(rows, 1) if len(rows) > 1 else rows[0])


class _TwoTower(nn.Module):
    def __init__(
        self, inputs: Sequence[Input], outputs: int, width: int, hidden: int, depth: int, dropout: float
    ) -> None:
        super().__init__()
        tokens = [input for input in inputs if input.kind == "tokens"]
        numbers = sum(input.shape[0] for input in inputs if input.kind == "numbers")
        self.kinds = [input.kind for input in inputs]
        self.embeddings = nn.ModuleList(_embedding(input, width) for input in tokens)
        self.layers = _hidden((len(tokens) + 1) * width + numbers, hidden, depth, dropout, outputs)

    def forward(self, *inputs: Tensor) -> Tensor:
        tokens = [x for x, kind in zip(inputs, self.kinds, strict=True) if kind == "tokens"]
        numbers = [x for x, kind in zip(inputs, self.kinds, strict=True) if kind == "numbers"]
        mean = _Mean()
        places = [mean(embedding(x)) for embedding, x in zip(self.embeddings, tokens, strict=True)]
        product = places[0]
        for place in places[1:]:
            product = product * place
        return self.layers(torch.cat([*places, product, *numbers], 1))


class _Positions(nn.Module):
    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(0.02 * torch.randn(1, length, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table


class _Block(nn.Module):
    """Attention and two linear layers, each added to what came in; spelt out, so that any converter can read it."""

    def __init__(self, length: int, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.apart = (-1, length, 3, heads, width // heads)
        self.together = (-1, length, width)
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.parts, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.layers = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.parts(self.before(x)).reshape(self.apart).permute(2, 0, 3, 1, 4)
        query, key, value = parts[0], parts[1], parts[2]
        weights = (query @ key.transpose(2, 3) * query.shape[3] ** -0.5).softmax(-1)
        x = x + self.dropout(self.out((weights @ value).transpose(1, 2).reshape(self.together)))
        return x + self.dropout(self.layers(self.between(x)))


def _convolution(channels: int, wide: int, kernel: int) -> list[nn.Module]:
    return [nn.Conv1d(channels, wide, kernel, padding=kernel // 2, bias=False), nn.BatchNorm1d(wide), nn.ReLU()]


def _hidden(columns: int, width: int, depth: int, dropout: float, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(columns, width), nn.ReLU(), nn.Dropout(dropout)]
        columns = width
    return nn.Sequential(*layers, nn.Linear(columns, outputs))


def _embedding(tokens: Input, width: int) -> nn.Embedding:
    """Build an embedding of small numbers: rare words and products of embeddings would otherwise start as noise."""
    layer = nn.Embedding(tokens.vocabulary, width)
    nn.init.normal_(layer.weight, std=0.1)
    return layer


def _only(name: str, inputs: Sequence[Input], kind: str) -> Input:
    if len(inputs) != 1 or inputs[0].kind != kind:
        raise _reject_input(name, f"one input of {kind}", inputs)
    return inputs[0]


def _odd(name: str, kernel: int) -> None:
    if kernel % 2 == 0:
        raise UserError(f"`kernel` of `edgepress/{name}` is {kernel}", "it is odd, so that it has a middle")


def _reject_input(name: str, takes: str, inputs: Sequence[Input]) -> UserError:
    kinds = ", ".join(f"{input.kind} `{input.name}`" for input in inputs)
    return UserError(
        f"`edgepress/{name}` takes {takes}; the data gives {kinds}",
        "for a series `conv1d`, tokens `text`, either `attention`, several tokens `two-tower`, numbers `mlp`",
    )
