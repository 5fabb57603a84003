"""Define what a target may limit, and at which level."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from ..core.errors import Mistake
from ..core.units import Bytes, Latency, Points, Relative, Seconds, Share

OF_CLASSES = ("accuracy", "macro_f1", "worst_recall", "accuracy_drop")
"""Budgets that only classification has."""
Level = Literal["required", "advisory"]


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def set_fields(self) -> list[tuple[str, Any]]:
        """Return the fields that are set, in their order."""
        return [(name, getattr(self, name)) for name in type(self).model_fields if getattr(self, name) is not None]


class Budget(Strict):
    """A limit, written plainly (`2 MB`) or with its level (`{limit: 2 MB, level: advisory}`)."""

    level: Level = Field(default="required", description="`advisory` budgets are reported and never fail the gate")

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return value if isinstance(value, dict | Budget) else {"limit": value}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        mapping = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [mapping["properties"]["limit"], mapping]}


class BytesBudget(Budget):
    limit: Bytes = Field(description="limit, with its unit")


class SecondsBudget(Budget):
    limit: Seconds = Field(description="limit, with its unit")


class LatencyBudget(Budget):
    limit: Latency = Field(description="limit, with its unit")
    percentile: int = Field(
        default=50, ge=1, le=99, description="percentile of the latency that must keep to the limit; 50 is the median"
    )

    @model_validator(mode="after")
    def _relative_is_a_median(self) -> LatencyBudget:
        if isinstance(self.limit, Relative) and "percentile" in self.model_fields_set:
            raise Mistake("a limit relative to a reference compares medians", "leave `percentile` out")
        return self


class AccuracyBudget(Budget):
    limit: Share = Field(description="limit, with its unit")


class DropBudget(Budget):
    limit: Points = Field(description="limit, with its unit")


class Regression(Strict):
    """Regressions allowed against the accepted model of `--baseline`; `null` turns a check off.

    Latency is compared where it is measured; a target that is only estimated has no such check.
    """

    size: Share | None = Field(default=0.05, description="largest growth of the file")
    latency: Share | None = Field(default=0.05, description="largest growth of latency")
    accuracy_drop: Points | None = Field(default=1.0, description="largest drop of accuracy on the test split")


class Budgets(Strict):
    size: BytesBudget | None = Field(default=None, description="largest size of the model file that the runtime loads")
    latency: LatencyBudget | None = Field(default=None, description="largest latency of one inference")
    memory: BytesBudget | None = Field(
        default=None, description="largest peak resident memory of a process that runs the model"
    )
    cold_start: SecondsBudget | None = Field(
        default=None, description="longest time to load the file and infer once in a fresh process"
    )
    decode: SecondsBudget | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="detection: longest time to decode one picture's boxes and suppress overlapping ones, by "
        "`edgepress.models.decoder` where `reach: local`; no latency includes it",
    )
    accuracy: AccuracyBudget | None = Field(default=None, description="lowest accuracy on the test split")
    map: AccuracyBudget | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="detection with `metric: map`: lowest mean average precision, over IoUs of 0.5 to 0.95, on the "
        "test split",
    )
    map50: AccuracyBudget | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="detection with `metric: map50`: lowest mean average precision at an IoU of 0.5, on the test split",
    )
    fallback: AccuracyBudget | None = Field(
        default=None, description="largest share of operators that are missing in the target's `supports`"
    )
    macro_f1: AccuracyBudget | None = Field(
        default=None, description="lowest macro-F1, the mean of F1 over classes, on the test split"
    )
    worst_recall: AccuracyBudget | None = Field(
        default=None, description="lowest recall of the worst class, on the test split"
    )
    accuracy_drop: DropBudget | None = Field(
        default=None, description="largest drop of accuracy below the recipe's reference"
    )
