"""Apply `normalize: none | raw | imagenet | {mean: […], std: […]}`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from ..core.errors import UserError
from .dataset import Dataset, Input


class Moments(BaseModel):
    """(x − mean) / std with one number a channel, or one for all; pixels are divided by 255 before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: tuple[FiniteFloat, ...] = Field(
        min_length=1, description="one value per channel or column, or one for all", examples=[[0.5]]
    )
    std: tuple[Annotated[FiniteFloat, Field(gt=0)], ...] = Field(
        min_length=1, description="one value per channel or column, or one for all", examples=[[0.5]]
    )

    def of_pixels_to_1(self) -> bool:
        return all(0 <= mean <= 1 for mean in self.mean) and max(self.std) <= 1


Normalize = Literal["none", "raw", "imagenet"] | Moments
IMAGENET = Moments(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""What most networks were trained with on ImageNet; `timm.get_pretrained_cfg(NAME)` has them of each."""
CHOICES = (
    "`normalize: none` (pixels are divided by 255; other values stay), `raw` (pixels stay 0 to 255), `imagenet`, "
    "or `{mean: […], std: […]}`"
)
"""For error messages."""
PIXELS = 1 / 255


def normalized(data: Dataset, how: Normalize, name: str) -> Dataset:
    """Return `data` whose inputs are normalized by `how`: its images, or without images its numbers or series.

    `none` and `raw` are for every input. Raises: UserError where the number of channels or the kind is another.
    """
    floats = [input for input in data.inputs if input.kind != "tokens"]
    images = [input for input in floats if input.kind == "image"]
    chosen = floats if how in ("none", "raw") else images or floats
    if not chosen:
        raise UserError(f"`{name}` has only tokens, which are not normalized", "take `normalize` out")
    if how == "imagenet" and not images:
        raise UserError(f"`{name}` has no images, which `normalize: imagenet` is for", CHOICES)
    if len(chosen) > 1 and isinstance(how, Moments):
        raise UserError(
            f"`{name}` has {len(chosen)} inputs, and `normalize` has one mean and std",
            "`normalize: none`, or a function of yours that returns a Dataset whose inputs have their own",
        )
    return replace(
        data, inputs=tuple(_normalized_input(input, how, name) if input in chosen else input for input in data.inputs)
    )


def _normalized_input(input: Input, how: Normalize, name: str) -> Input:
    """Return `input` with the scale, mean and std of `how`."""
    image, channels = input.kind == "image", input.shape[0]
    scale = PIXELS if image and how != "raw" else 1.0
    if how in ("none", "raw"):
        moments = Moments(mean=(0.0,), std=(1.0,))
    else:
        moments = how if isinstance(how, Moments) else IMAGENET
    if image and not moments.of_pixels_to_1():
        raise UserError(
            f"`{name}`: `normalize` is of pixels from 0 to 1, whose mean and deviation are no more than that",
            "numbers for pixels from 0 to 255 are divided by 255",
        )
    mean, std = (_spread(values, channels) for values in (moments.mean, moments.std))
    if mean is None or std is None:
        rows = {"image": "images", "series": "series"}.get(input.kind, "rows")
        unit = "column" if input.kind == "numbers" else "channel"
        raise UserError(
            f"`{name}`: `normalize` has {len(moments.mean)} means and {len(moments.std)} deviations, and the {rows} "
            f"have {channels} {unit}{'s' * (channels > 1)}",
            "`color: rgb` makes three channels of each image, `color: grey` one"
            if image
            else f"one number for each {unit}, or one for all",
        )
    return replace(input, scale=scale, mean=mean, std=std, normalized_by="recipe")


def _spread(values: Sequence[float], channels: int) -> tuple[float, ...] | None:
    """Return one value a channel; None if there are neither one nor so many."""
    if len(values) == 1:
        return tuple(values) * channels
    return tuple(values) if len(values) == channels else None
