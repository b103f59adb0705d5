"""Sense check: do changes that point to fraud raise the log-odds?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import xgboost as xgb


class Expectation(NamedTuple):
    """A change to one feature that should make fraud more probable on average.

    All else stays equal.
    """

    feature: str
    low: float
    high: float
    because: str


EXPECTED = (
    Expectation("speed_kmh", 10.0, 2000.0, "nobody travels faster than a plane"),
    Expectation("is_new_device", 0.0, 1.0, "thieves bring their own devices"),
    Expectation("is_new_merchant", 0.0, 1.0, "thieves shop elsewhere"),
    Expectation("merchant_risk", 0.002, 0.1, "shops with reported fraud have more of it"),
    Expectation("amount_ratio", 1.0, 8.0, "thieves take more than customers spend"),
    Expectation("unique_merchants_1h", 1.0, 8.0, "a stolen card is tried in many shops"),
)


def sense_check(booster: xgb.Booster, frame: pd.DataFrame) -> pd.DataFrame:
    """One row per expectation: mean change of the log-odds, and share of transactions in which they rise.

    The model takes every transaction of `frame` twice, with the feature set to `low` and to `high`. This reads the
    model, not the world: features that belong together are torn apart. `holds` is True when the mean rises.
    """
    features = frame[list(booster.feature_names or ())]
    rows = []
    for expected in EXPECTED:
        low, high = (
            booster.inplace_predict(features.assign(**{expected.feature: value}).to_numpy(float), predict_type="margin")
            for value in (expected.low, expected.high)
        )
        change = high - low
        rows.append((*expected, float(np.mean(change)), float(np.mean(change > 0)), bool(np.mean(change) > 0)))
    columns = [*Expectation._fields, "mean_change", "rises_in", "holds"]
    return pd.DataFrame(rows, columns=columns).set_index("feature")
