"""`load`: a model that exists already, a torch checkpoint or an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ..errors import Mistake, UserError
from ..paths import find
from ..stage import Artifact, Context, Kind, Made, Stage
from ..zoo import Network, fill, save
from ..zoo import load as load_described

SUFFIXES: dict[str, Kind] = {".safetensors": "torch", ".pt": "torch", ".pth": "torch", ".onnx": "onnx"}


class Load(Stage):
    """Bring a trained model: `.safetensors`, `.pt`, `.pth` (a plain state dict) or `.onnx`."""

    gives: ClassVar = "torch"

    use: Literal["load"]
    source: str = Field(
        alias="from",
        pattern=r"\.(safetensors|pt|pth|onnx)$",
        description="the file, beside the recipe or among the shipped ones",
    )
    model: Network | None = Field(
        default=None, description="the network of a checkpoint that does not describe itself: `timm/NAME`"
    )

    shapes: dict[str, list[int]] | None = Field(
        default=None, description="of an ONNX file whose inputs leave axes open: input name → sizes, the batch 1"
    )
    constants: dict[str, float] | None = Field(
        default=None,
        description="of an ONNX file: inputs that stay the same, such as a sample rate or a state, and the number that "
        "each is filled with",
    )
    output: str | None = Field(default=None, description="of an ONNX file with several outputs: the one to keep")

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.model is None and Path(self.source).suffix in (".pt", ".pth"):
            raise Mistake("a plain checkpoint does not say which network it belongs to", "add `model: timm/NAME`")
        return self

    @property
    def kind(self) -> Kind:
        return SUFFIXES[Path(self.source).suffix]

    def files(self) -> list[str]:
        return [self.source]

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        path = find(self.source, context.source)
        if self.kind == "onnx":
            from ..adopt import adopt

            made = context.folder / "model.onnx"
            integers = adopt(path, context.data, made, shapes=self.shapes, constants=self.constants, output=self.output)
            return Made("onnx", notes={"precision": "int8"} if integers else {})
        if self.model is None and path.suffix == ".safetensors":
            module, description = load_described(path)
        else:
            assert self.model is not None
            description = self.model.describe(context.data)
            module = fill(description.build(), _tensors(path), path)
        given = tuple((each.kind, each.shape, each.vocabulary) for each in context.data.inputs)
        if (description.takes(), description.classes) != (given, len(context.data.labels)):
            raise UserError(
                f"`{self.source}` takes {_words(description.takes())} and tells {description.classes} classes apart; "
                f"`{context.data.name}` has {_words(given)} and {len(context.data.labels)}",
                "load a model of the same task, or change `task: {data: …}`",
            )
        save(module, description, context.folder / "model.safetensors")
        return Made("torch")


def _words(inputs: tuple[tuple[str, tuple[int, ...], int], ...]) -> str:
    return " and ".join(" × ".join(map(str, shape)) or "a number" for _, shape, _ in inputs)


def _tensors(path: Path) -> dict[str, Any]:
    """The tensors of a plain state dict; nothing in the file is run."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise UserError(f"`{path}` is not a safetensors file: {error}") from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file fails in as many ways as it can be damaged
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"`{path}` holds more than tensors, or is no checkpoint: {first}",
            "save it as tensors only: `torch.save(model.state_dict(), path)`",
        ) from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise UserError(f"`{path}` is not a state dict", "save it with `torch.save(model.state_dict(), path)`")
    return state
