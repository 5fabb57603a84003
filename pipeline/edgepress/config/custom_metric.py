"""Evaluate by the user's own metric: `def f(outputs, targets, …) -> float`.

`outputs` are float32 (examples, labels): what a softmax or sigmoid is taken of, or the numbers of a regression.
`targets` are int64 (examples,) for single-label, uint8 (examples, labels) of 0 and 1 for multi-label, and float32
(examples, labels) for regression. It is called with whole splits, and with draws with repetition of the test examples,
from which the interval of a drop comes; in those a class may be missing.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from ..core import user_code
from ..core.errors import OwnCodeError, Place
from ..core.user_code import Function

if TYPE_CHECKING:
    import numpy as np

    from ..core.metrics import Metric


class OwnMetric(BaseModel):
    """Your own metric: a function that returns a share, 1 at best, or an error, 0 at best."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    source: Annotated[str, AfterValidator(user_code.there)] = Field(
        alias="from",
        pattern=user_code.WRITTEN,
        description="your function of outputs and targets, `FILE.py:FUNCTION`, relative to the recipe's folder",
        examples=["./my_metric.py:f"],
    )
    lower_is_better: bool = Field(
        default=False,
        description="the metric is an error, 0 at best, with drops in percent of it; by default it is a share, 1 at "
        "best, with drops in points",
    )
    args: dict[str, Any] = Field(default_factory=dict, description="further keyword arguments of the function")

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"from": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        mapping = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [mapping["properties"]["from"], {**mapping}]}

    def metric(self, base: Path, place: Place) -> Metric:
        """Return the metric of a recipe in the folder `base`, which names it at `place`. Raises: OwnCodeError."""
        from ..core.metrics import Metric

        function = Function.read(self.source, base)

        def score(outputs: np.ndarray, targets: np.ndarray) -> float:
            try:
                value = function(outputs.copy(), targets.copy(), **self.args)  # it may work in place
                return self._checked(value, function, outputs)
            except OwnCodeError as error:
                raise error.at(place) from error

        key = [function.digest, self.lower_is_better, self.args]
        return Metric(self.source, score, higher=not self.lower_is_better, key=key)

    def _checked(self, result: Any, function: Function, outputs: np.ndarray) -> float:
        about = f"{function.about}, given {len(outputs)} examples,"
        try:
            value = math.nan if isinstance(result, str | bytes | bool) else float(result)
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            shown = f"{result}" if isinstance(result, float) else f"a {type(result).__name__}"
            raise OwnCodeError(f"{about} returned {shown}", "return one finite number, whichever classes there are")
        if self.lower_is_better and value < 0:
            raise OwnCodeError(f"{about} returned {value:g}", "with `lower_is_better` it is an error, 0 at best")
        if not self.lower_is_better and value > 1:
            help = "it is a share, 1 at best; an error is marked: `metric: {from: …, lower_is_better: true}`"
            raise OwnCodeError(f"{about} returned {value:g}", help)
        return value
