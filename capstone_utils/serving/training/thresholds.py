"""Thresholds from validation weeks, never from test weeks."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import f1_score, precision_recall_curve

from capstone_utils.ingestion.arrays import Array, Floats


def best_threshold(labels: Array, scores: Array) -> float:
    """The score at which F1 is highest; alert when score >= threshold.

    Use labels of the validation weeks, never of the test weeks.
    """
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    return float(thresholds[np.argmax(f1[:-1])])


def steady_threshold(labels: Floats, probabilities: Floats) -> float:
    """Half the highest F1 of the validation weeks: where F1 is highest if the probabilities are calibrated.

    It depends less than `best_threshold` on the few thieves of one week. It is an approximation where the probabilities
    are not calibrated. Source: Z. C. Lipton, C. Elkan, B. Naryanaswamy: Optimal Thresholding of Classifiers to Maximize
    F1 Measure, ECML PKDD 2014, theorem 1.
    """
    return float(f1_score(labels, probabilities >= best_threshold(labels, probabilities))) / 2
