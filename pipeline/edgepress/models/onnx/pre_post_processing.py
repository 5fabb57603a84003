"""Add normalization and softmax to the exported graph."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ...core.errors import UserError
from ...data.targets import KINDS

if TYPE_CHECKING:
    from ...data.dataset import Dataset


class Embedded(nn.Module):
    """`module` that takes what the contract says: raw values where `normalize` is embedded, uint8 or float."""

    def __init__(self, module: nn.Module, data: Dataset, contract: dict[str, Any]) -> None:
        super().__init__()
        self.module = module
        self.raw = [entry.get("mean") == [] for entry in contract["inputs"]]
        for index, input in enumerate(data.inputs):
            shape = (1, -1, *[1] * (len(input.shape) - 1))
            std = torch.tensor(input.std or (1.0,)).reshape(shape)
            self.register_buffer(f"slope{index}", input.scale / std)
            self.register_buffer(f"offset{index}", -torch.tensor(input.mean or (0.0,)).reshape(shape) / std)
        self.ends = {"probabilities": nn.Softmax(1) if data.targets.link == "softmax" else nn.Sigmoid()}.get(
            contract["outputs"][0]["meaning"], nn.Identity()
        )

    def forward(self, *inputs: Tensor) -> Any:
        """Compute logits, values or probabilities (b, labels), or the heads, of one tensor (b, *shape) an input."""
        normal = [
            x.float() * self.get_buffer(f"slope{index}") + self.get_buffer(f"offset{index}") if raw else x
            for index, (x, raw) in enumerate(zip(inputs, self.raw, strict=True))
        ]
        return self.ends(self.module(*normal))


def embedded(contract: dict[str, Any], embed: Collection[str], raw: bool) -> dict[str, Any]:
    """Return the contract of a file with `embed` in its graph; with `raw` its images are uint8.

    An input that the file normalises itself has neither scale nor moments left: `mean` and `std` are empty.
    """
    if raw and not any(entry["kind"] == "image" for entry in contract["inputs"]):
        raise UserError("`input: uint8` is for images, and this data has none", "leave it out")
    if "softmax" in embed:
        if KINDS[contract["task"]].link == "identity":
            raise UserError(f"a {contract['task']} has no `softmax`", "take it out of `embed`")
        contract = contract | {"outputs": [contract["outputs"][0] | {"meaning": "probabilities"}]}
    if "normalize" not in embed:
        return contract
    plain = {"scale": 1.0, "mean": [], "std": []}
    inputs = [
        entry
        if entry["kind"] == "tokens"
        else entry | plain | ({"dtype": "uint8"} if raw and entry["kind"] == "image" else {})
        for entry in contract["inputs"]
    ]
    return contract | {"inputs": inputs}
