"""Evaluation of a model's scores on labelled transactions: figures, costs and calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, roc_auc_score

from capstone_utils.ingestion.arrays import Array, Floats
from capstone_utils.serving.evaluation.costs import COSTS, Costs

BINS = (0.0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)  # of probability, for calibration


@dataclass(frozen=True)
class Evaluation:
    """A model's figures on the test weeks, at the threshold of its validation weeks."""

    threshold: float
    f1: float
    precision: float
    recall: float
    average_precision: float
    roc_auc: float
    brier: float  # mean squared error of the scores as probabilities
    alerts: int
    fraud_stopped: float  # money
    fraud_missed: float  # money
    review_cost: float  # money
    insult_cost: float  # money

    @property
    def saved(self) -> float:
        """Fraud stopped less the cost of looking at every alert and of refusing honest users."""
        return self.fraud_stopped - self.review_cost - self.insult_cost


def evaluate(test: pd.DataFrame, scores: Floats, threshold: float, costs: Costs = COSTS) -> Evaluation:
    """The evaluation of `scores`, shape (rows,), on a labelled frame with `is_fraud` and `amount`."""
    labels, amount = test["is_fraud"].to_numpy(bool), test["amount"].to_numpy()
    alerts = scores >= threshold
    caught = int((alerts & labels).sum())
    return Evaluation(
        threshold=threshold,
        f1=float(f1_score(labels, alerts)),
        precision=caught / max(int(alerts.sum()), 1),
        recall=caught / max(int(labels.sum()), 1),
        average_precision=float(average_precision_score(labels, scores)),
        roc_auc=float(roc_auc_score(labels, scores)),
        brier=float(brier_score_loss(labels, np.clip(scores, 0, 1))),
        alerts=int(alerts.sum()),
        fraud_stopped=float(amount[alerts & labels].sum()),
        fraud_missed=float(amount[~alerts & labels].sum()),
        review_cost=costs.review * int(alerts.sum()),
        insult_cost=costs.insult * int((alerts & ~labels).sum()),
    )


def evaluation_table(evaluations: dict[str, Evaluation]) -> pd.DataFrame:
    """One row per model with its main figures, best average precision last."""
    columns = ["average_precision", "roc_auc", "f1", "precision", "recall", "alerts", "saved"]
    rows = {name: [getattr(evaluation, column) for column in columns] for name, evaluation in evaluations.items()}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.sort_values("average_precision")


def calibration_table(labels: Array, scores: Array) -> pd.DataFrame:
    """One row per bin of the score: payments, mean score and share of fraud.

    Mean score and share of fraud are equal where scores are probabilities.
    """
    frame = pd.DataFrame({"score": scores, "fraud": np.asarray(labels, dtype=float)})
    bins = pd.cut(frame["score"], BINS, include_lowest=True)
    table = frame.groupby(bins, observed=True).agg(
        payments=("fraud", "size"), mean_score=("score", "mean"), share_of_fraud=("fraud", "mean")
    )
    return table.rename_axis("score")
