"""Prepare the calibration examples one at a time, and check them.

Examples that would spoil the ranges are reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ....core.errors import UserError
from ....data.rows import choose, held
from ....models.input_preparation import input_of
from ....models.prepared import Prepared

if TYPE_CHECKING:
    from ....data.dataset import Dataset

_FAR = 10
"""Deviations from the mean; by Chebyshev at most 1% of the values that mean and deviation are of lie beyond."""
_LOOKED_AT = 64


def prepared(contract: dict[str, Any], data: Dataset, rows: np.ndarray) -> tuple[Prepared, list[str]]:
    """Return the validation examples at `rows`, and warnings about them.

    Raises: UserError when many values are far from the training examples that mean and deviation were measured on.
    A mean and deviation from elsewhere (the user's function, the file's metadata) are a network's, which may take
    pixels from -128 to 127: there the same is a warning.
    """
    x, y = held(choose(data["validation"].x, rows)), choose(data["validation"].y, rows)
    warnings = []
    for entry, declared, raw in zip(contract["inputs"], data.inputs, data.columns(x), strict=True):
        if declared.kind == "tokens" or entry["mean"] == []:  # the file normalises them itself
            continue
        taken = input_of(entry, declared)
        if taken.normalized_by == "recipe" or taken.plain:
            continue  # nothing says where these values lie: networks are trained on pixels from -128 to 127, too
        far = float((np.abs(taken.to_model_inputs(raw[:_LOOKED_AT])) > _FAR).mean())
        if far > 0.1:
            far_off = (
                f"input `{declared.name}` of `{data.name}`: {far:.0%} of the values lie more than {_FAR} deviations "
                "from the mean"
            )
            formula = f"values are normalised as (raw · {taken.scale:g} − mean) / std"
            if taken.normalized_by in ("train", "data"):
                raise UserError(f"{far_off}, so they are not the values that its `mean` and `std` are of", formula)
            warnings.append(f"{far_off}; unless the network was trained so, check `scale`, `mean` and `std`: {formula}")
    if data.labelled and data.task == "single-label" and len(data.labels) > 1 and len(np.unique(y)) == 1:
        warnings.append(
            f"its ranges come from {len(y)} example{'s' * (len(y) > 1)} of one class, `{data.labels[int(y[0])]}`, and "
            "others may go beyond: raise `samples`, or give the validation split more classes"
        )
    return Prepared(contract, data, x), warnings
