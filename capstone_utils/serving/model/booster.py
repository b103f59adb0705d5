"""A model with its threshold."""

from __future__ import annotations

from typing import NamedTuple

import xgboost as xgb


class ThresholdedModel(NamedTuple):
    """A booster and the probability from which on it says fraud.

    The booster knows the names of its features.
    """

    booster: xgb.Booster
    threshold: float

    @property
    def features(self) -> tuple[str, ...]:
        """The features in the order in which the booster takes them."""
        return tuple(self.booster.feature_names or ())
