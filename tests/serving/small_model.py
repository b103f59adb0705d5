"""A model that is trained in a moment."""

from __future__ import annotations

import numpy as np
import xgboost as xgb

from capstone_utils.serving.model.booster import ThresholdedModel


def small_model(features, fraud: np.ndarray, names: tuple[str, ...]) -> ThresholdedModel:
    """A booster of a few rounds on these features."""
    data = xgb.DMatrix(features[list(names)], label=fraud, feature_names=list(names))
    return ThresholdedModel(xgb.train({"objective": "binary:logistic", "max_depth": 3, "nthread": 1}, data, 12), 0.3)
