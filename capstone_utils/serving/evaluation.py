"""Judging a model: the threshold from validation only, and every figure beside what a plain rule would reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve, roc_auc_score

BOOTSTRAPS = 1000
REVIEW_COST = 5.0  # what one alert costs to look at, in the currency of the amounts: an assumption, to be replaced


@dataclass(frozen=True)
class Judgement:
    """What a model reaches on the test weeks at the threshold that its validation weeks chose."""

    threshold: float
    f1: float
    precision: float
    recall: float
    average_precision: float
    roc_auc: float
    alerts: int
    fraud_stopped: float  # money
    fraud_missed: float  # money
    review_cost: float  # money

    @property
    def saved(self) -> float:
        """Fraud stopped less the cost of looking at every alert."""
        return self.fraud_stopped - self.review_cost


def best_threshold(labels: np.ndarray, scores: np.ndarray) -> float:
    """The score at which F1 is highest: alert when score >= threshold. Use validation labels, never test."""
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    return float(thresholds[np.argmax(f1[:-1])])


def judge(test: pd.DataFrame, scores: np.ndarray, threshold: float) -> Judgement:
    """The judgement of `scores`, shape (rows,), on a labelled frame with `is_fraud` and `amount`."""
    labels, amount = test["is_fraud"].to_numpy(bool), test["amount"].to_numpy()
    alerts = scores >= threshold
    caught = int((alerts & labels).sum())
    return Judgement(
        threshold=threshold,
        f1=float(f1_score(labels, alerts)),
        precision=caught / max(int(alerts.sum()), 1),
        recall=caught / max(int(labels.sum()), 1),
        average_precision=float(average_precision_score(labels, scores)),
        roc_auc=float(roc_auc_score(labels, scores)),
        alerts=int(alerts.sum()),
        fraud_stopped=float(amount[alerts & labels].sum()),
        fraud_missed=float(amount[~alerts & labels].sum()),
        review_cost=REVIEW_COST * int(alerts.sum()),
    )


def f1_interval(test: pd.DataFrame, alerts: np.ndarray, seed: int = 0, share: float = 0.95) -> tuple[float, float]:
    """The range in which F1 lies in `share` of test weeks like this one: a percentile bootstrap over customers.

    Customers are drawn, not payments: the payments of one theft stand and fall together.
    Source: B. Efron, R. Tibshirani: An Introduction to the Bootstrap, 1993, chapter 13.
    """
    labels = test["is_fraud"].to_numpy(bool)
    customers, code = np.unique(test["user_id"], return_inverse=True)
    hits, alarms, frauds = (
        np.bincount(code, weights=counted, minlength=len(customers)) for counted in (alerts & labels, alerts, labels)
    )
    drawn = np.random.default_rng(seed).integers(0, len(customers), (BOOTSTRAPS, len(customers)))
    f1 = 2 * hits[drawn].sum(axis=1) / np.maximum(alarms[drawn].sum(axis=1) + frauds[drawn].sum(axis=1), 1)
    low, high = np.quantile(f1, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def judgement_table(judgements: dict[str, Judgement]) -> pd.DataFrame:
    """One row a model, best average precision last: what a reader compares."""
    columns = ["average_precision", "roc_auc", "f1", "precision", "recall", "alerts", "saved"]
    rows = {name: [getattr(judgement, column) for column in columns] for name, judgement in judgements.items()}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.sort_values("average_precision")


def recall_by_scenario(test: pd.DataFrame, alerts: np.ndarray, truth: pd.DataFrame) -> pd.DataFrame:
    """Fraud and the share of it that was caught, for each scenario of the simulator.

    `truth` (transaction_id, scenario) is for judging only: no feature ever sees it.
    """
    scenario = truth.set_index("transaction_id")["scenario"].loc[test["transaction_id"]].astype(str).to_numpy()
    frame = pd.DataFrame({"scenario": scenario, "caught": alerts})
    frame = frame[frame["scenario"] != "legitimate"]
    return frame.groupby("scenario")["caught"].agg(fraud="size", recall="mean")
