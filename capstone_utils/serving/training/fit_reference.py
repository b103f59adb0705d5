"""Fit the reference that a model brings along, on the two weeks before it decides."""

from __future__ import annotations

import numpy as np
import pandas as pd

from capstone_utils.serving.model.booster import ThresholdedModel
from capstone_utils.serving.model.fallback import Fallback
from capstone_utils.serving.reference import SCORE, Reference, make_reference
from capstone_utils.transaction import SECOND_US


def fit_reference(
    recent: pd.DataFrame, model: ThresholdedModel, before: ThresholdedModel, fallback: Fallback
) -> Reference:
    """The reference of the latest settled weeks: younger ones have no labels yet, older ones another history.

    `recent` holds their rows in the order of time. What is usual for features and scores is that of `model`, which
    decides. The alerts and the frauds that they miss are those of `before`, which has not learnt from these rows.
    """
    names = list(model.features)
    rows = recent[names].to_numpy(float)
    scores = model.booster.inplace_predict(rows).astype(float)
    alerts = before.booster.inplace_predict(rows) >= before.threshold
    alerts |= fallback.decide(rows, before.booster.inplace_predict(rows, predict_type="margin"))
    return make_reference(
        (*names, SCORE),
        (recent["timestamp"].to_numpy() * SECOND_US).astype(np.int64),
        np.column_stack([rows, scores]),
        recent["user_id"].to_numpy(),
        alerts,
        recent["is_fraud"].to_numpy() == 1,
    )
