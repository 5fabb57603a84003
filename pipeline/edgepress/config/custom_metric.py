"""Evaluate by the user's own metric: `def f(outputs, targets, …)` returns it, or one value for each example.

`outputs` are float32 (examples, labels): what a softmax or sigmoid is taken of, or the numbers of a regression.
`targets` are int64 (examples,) for single-label, uint8 (examples, labels) of 0 and 1 for multi-label, and float32
(examples, labels) for regression. It is called with whole splits.

Of masks, heat maps and pictures it is called with some examples at a time. Where it returns one number for them, it is
called again with the whole split, which is then in memory at once.

Of segmentation `outputs` are logits (examples, classes, height, width) and `targets` classes uint8 (examples, height,
width), 255 for void; of keypoints heat maps (examples, points, height, width) and float32 (examples, points, 3), x and
y as shares of the picture and whether it is to be seen; of embeddings vectors (examples, length) and identities int64
(examples,) or vectors; of images (examples, channels, height, width), of which uint8 targets are 0 to 255 and outputs
0 to 1; of detection x0, y0, x1, y1, score and class (examples, boxes, 6), and targets with class and whether it counts.

An array (examples,) of values has the metric as its mean, and the interval of a drop comes from these values. A metric
that returns one number is called for that interval with draws with repetition of the test examples, as often as
`metric.SECONDS` allow; in those a class may be missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from ..core import user_code
from ..core.errors import OwnCodeError, Place
from ..core.user_code import Function

if TYPE_CHECKING:
    import numpy as np

    from ..core.metric import Metric


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
        from ..core.metric import Metric, Rows

        function = Function.read(self.source, base)

        def score(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
            try:
                result = function(outputs.copy(), targets.copy(), **self.args)  # it may work in place
                return self._checked(result, function, len(outputs))
            except OwnCodeError as error:
                raise error.at(place) from error

        def parts(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray | Rows:
            values = score(outputs, targets)
            return values if values.ndim else Rows(outputs, targets, float(values))

        def reduce(parts: np.ndarray | Rows) -> float:
            if not isinstance(parts, Rows):
                return float(parts.mean())
            return float(score(parts.outputs, parts.y).mean()) if parts.value is None else parts.value

        key = [function.digest, self.lower_is_better, self.args]
        return Metric(self.source, parts, reduce, chunked=False, higher=not self.lower_is_better, key=key)

    def _checked(self, result: Any, function: Function, count: int) -> np.ndarray:
        """Return one number, or one for each of `count` examples, as an array. Raises: OwnCodeError."""
        import numpy as np

        about = f"{function.about}, given {count} examples,"
        help = "return one finite number, whichever classes there are, or an array of one for each example"
        try:
            values = np.asarray(result)
        except (TypeError, ValueError, RuntimeError):  # lists of several lengths; tensors of another device
            values = np.asarray(None)
        if values.dtype.kind not in "fiub" or isinstance(result, bool):
            raise OwnCodeError(f"{about} returned a {type(result).__name__}", help)
        values = values.astype(np.float64)
        if values.size == 1 and values.shape != (count,):
            values = values.reshape(())
        elif values.shape != (count,):
            shape = " × ".join(map(str, values.shape))
            raise OwnCodeError(f"{about} returned {shape} values", help)
        if len(bad := np.flatnonzero(~np.isfinite(values))):
            which = f" for example {bad[0]}" if values.ndim else ""
            raise OwnCodeError(f"{about} returned {values.reshape(-1)[bad[0]]}{which}", help)
        self._in_range(float(values.mean()), about)
        return values

    def _in_range(self, value: float, about: str) -> None:
        if self.lower_is_better and value < 0:
            raise OwnCodeError(f"{about} returned {value:g}", "with `lower_is_better` it is an error, 0 at best")
        if not self.lower_is_better and value > 1:
            help = "it is a share, 1 at best; an error is marked: `metric: {from: …, lower_is_better: true}`"
            raise OwnCodeError(f"{about} returned {value:g}", help)
