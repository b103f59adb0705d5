"""One model and its decision: a booster and the probability from which on it cries fraud."""

from __future__ import annotations

from typing import NamedTuple

import xgboost as xgb


class ThresholdedModel(NamedTuple):
    """A booster and the probability from which on it calls a payment fraud; the booster knows its features' names."""

    booster: xgb.Booster
    threshold: float

    @property
    def features(self) -> tuple[str, ...]:
        """The features in the order in which the booster takes them."""
        return tuple(self.booster.feature_names or ())
