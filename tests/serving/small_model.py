"""A model that is trained in a moment, and rows to train it on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xgboost as xgb

from capstone_utils.features.spec import SPEC
from capstone_utils.serving.model.booster import ThresholdedModel


def small_model(features, fraud: np.ndarray, names: tuple[str, ...]) -> ThresholdedModel:
    """A booster of a few rounds on these features."""
    data = xgb.DMatrix(features[list(names)], label=fraud, feature_names=list(names))
    return ThresholdedModel(xgb.train({"objective": "binary:logistic", "max_depth": 3, "nthread": 1}, data, 12), 0.3)


def settled_rows(users: int = 400) -> pd.DataFrame:
    """Settled payments: a tenth are fraud, and their amounts give them away."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.random((4000, len(SPEC.names))), columns=list(SPEC.names))
    frame["is_fraud"] = (generator.random(len(frame)) < 0.1).astype(float)
    frame["amount"] = np.where(frame["is_fraud"] == 1, 900.0, 20.0) + generator.random(len(frame))
    frame["user_id"] = generator.integers(1, users, len(frame))
    return frame
