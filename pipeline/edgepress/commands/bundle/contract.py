"""Check the metadata of the file that is packed: the card and the runners read them, whoever wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ...core.errors import UserError, first_line
from ...data.targets import KINDS
from ...models import metadata
from ...models.onnx import reading

_Number = Annotated[float, Field(allow_inf_nan=False)]
_Above = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Read(BaseModel):
    """A mapping of which the fields are read; others are for other readers."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _Quantization(_Read):
    scale: _Above
    zero_point: int


class _Tensor(_Read):
    name: str
    dtype: Literal[
        "bool",
        "uint8",
        "int8",
        "uint16",
        "int16",
        "uint32",
        "int32",
        "uint64",
        "int64",
        "float16",
        "float32",
        "float64",
    ]
    quantization: _Quantization | None = None


class _Input(_Tensor):
    shape: list[int] = Field(min_length=1)
    layout: str

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.dtype == "int8" and self.quantization is None:
            raise ValueError("an input of int8 has a `quantization`")
        return self


class _Tokens(_Input):
    kind: Literal["tokens"]
    vocabulary: int


class _Normalized(_Input):
    kind: Literal["series", "numbers"]
    scale: _Above
    mean: list[_Number]
    std: list[_Above]

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if len(self.mean) != len(self.std):
            raise ValueError("`mean` and `std` have one number a channel each")
        return self


class _Image(_Normalized):
    kind: Literal["image"]  # type: ignore[assignment]
    size: list[int] = Field(min_length=2, max_length=2)
    color: str | None
    resize: str | None


class _Output(_Tensor):
    meaning: str
    shape: list[int] = []
    layout: str = ""


class _Contract(_Read):
    task: str
    labels: list[str]
    inputs: list[Annotated[_Tokens | _Image | _Normalized, Field(discriminator="kind")]] = Field(min_length=1)
    outputs: list[_Output] = Field(min_length=1)

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.task not in KINDS:
            raise ValueError("a task of edgepress has another name")
        return self


def read(path: Path, help: str) -> dict[str, Any]:
    """Return the metadata of a file. Raises: UserError with `help` for a file that edgepress has not made."""
    try:
        onnx = path.suffix == ".onnx"
        found = metadata.read_onnx(reading.read(path)) if onnx else metadata.read(path)
        _Contract.model_validate(found)
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"`{path}` has no metadata of edgepress: {_reason(error)}", help) from error
    return found


def _reason(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return first_line(error)
    first = error.errors(include_url=False, include_input=False)[0]
    return ": ".join(filter(None, [".".join(map(str, first["loc"])), first["msg"]]))
