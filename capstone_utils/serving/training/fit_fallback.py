"""Fit the anomaly fallback of a model."""

from __future__ import annotations

import numpy as np

from capstone_utils.serving.model.anomaly import fit_anomaly_detector
from capstone_utils.serving.model.booster import ThresholdedModel
from capstone_utils.serving.model.fallback import Fallback
from capstone_utils.serving.training.splits import Split

WEIGHT = 0.3  # log-odds of fraud for a unit of anomaly
ALERT_SHARE = 2e-4  # of all transactions: those that the fallback may add to the alerts in ordinary weeks


def fit_fallback(
    split: Split, model: ThresholdedModel, weight: float = WEIGHT, alert_share: float = ALERT_SHARE
) -> Fallback:
    """A fallback for a model of the training weeks only.

    The anomaly is learnt from the transactions of the training weeks that nobody reported. The bound is chosen on the
    transactions after them, whose labels are known too: there, the fallback adds `alert_share` of them to the alerts.
    """
    names = list(model.features)
    honest = split.train["is_fraud"].to_numpy() == 0
    anomaly = fit_anomaly_detector(names, split.train[names].to_numpy(float)[honest])
    rows = split.after_training[names].to_numpy(float)
    margins = model.booster.inplace_predict(rows, predict_type="margin")
    threshold = np.log(model.threshold / (1 - model.threshold))
    combined_score = Fallback(anomaly, weight, np.inf).combined_score(rows, margins)[margins < threshold]
    allowed = max(round(alert_share * len(rows)), 1)
    return Fallback(anomaly, weight, float(np.sort(combined_score)[-allowed:][0]))
