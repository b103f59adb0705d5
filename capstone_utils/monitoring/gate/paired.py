"""Verdicts of models on the same transactions, and their paired comparison: a bootstrap over users."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from capstone_utils.ingestion.arrays import Booleans, Floats, Integers
from capstone_utils.serving.evaluation.costs import COSTS, Costs
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.model.store import Models

DRAWS = 1000
MEASURES = ("recall", "precision", "money")


class Verdicts(NamedTuple):
    """Verdicts on the rows of a frame: probabilities and a mask of the alerts, each of shape (rows,)."""

    probabilities: Floats
    alerts: Booleans


def verdicts(models: Models, frame: pd.DataFrame) -> Verdicts:
    """The verdicts that a door would have given with these models on the frame's features."""
    rows = Classifier(models).classify(frame[list(models.score.features)].to_numpy(float))
    table = np.array([(verdict.probability, verdict.fraud) for verdict in rows], dtype=float).reshape(-1, 2)
    return Verdicts(table[:, 0], table[:, 1] == 1)


def compare(
    rows: pd.DataFrame,
    settled: Booleans,
    challenger: Booleans,
    champion: Booleans,
    costs: Costs = COSTS,
    share: float = 0.9,
) -> pd.DataFrame:
    """A row each for recall, precision and money: both models' values, their difference, and its interval.

    `rows` has user_id, is_fraud (1 where it was reported) and amount; the masks have shape (rows,). Recall is of all
    that was reported, precision of the settled rows alone. Money is the fraud stopped less the cost of alerts, and an
    alert that nobody has reported yet counts as a mistake, which is hard on both models alike. `low` and `high` hold
    the middle `share` of the differences when users are drawn anew, the same ones for both models: the transactions of
    one theft are caught or missed together.
    Source: B. Efron, R. Tibshirani: An Introduction to the Bootstrap, 1993, chapter 13.
    """
    users, code = np.unique(rows["user_id"], return_inverse=True)
    sides = [_sums(rows, settled, alerts, code, len(users), costs) for alerts in (challenger, champion)]
    draws = np.random.default_rng(0).multinomial(len(users), np.full(len(users), 1 / len(users)), DRAWS)
    values = [_measures(sums.sum(axis=1)) for sums in sides]
    drawn = _measures((draws @ sides[0].T).T) - _measures((draws @ sides[1].T).T)  # (measures, draws)
    low, high = np.quantile(drawn, [(1 - share) / 2, (1 + share) / 2], axis=1)
    table = {"challenger": values[0], "champion": values[1], "difference": values[0] - values[1]}
    return pd.DataFrame(table | {"low": low, "high": high}, index=list(MEASURES))


def interval(rows: pd.DataFrame, settled: Booleans, alerts: Booleans, share: float = 0.95) -> pd.DataFrame:
    """The value of each measure for one model, and the interval in which it lies for `share` of such weeks."""
    silent = np.zeros(len(rows), dtype=bool)  # beside a model that never alerts
    table = compare(rows, settled, alerts, silent, share=share)[["challenger", "low", "high"]]
    return table.set_axis(["value", "low", "high"], axis=1)


def _sums(rows: pd.DataFrame, settled: Booleans, alerts: Booleans, code: Integers, users: int, costs: Costs) -> Floats:
    """By user: frauds caught, frauds, settled frauds caught, settled alerts, money; shape (5, users)."""
    fraud, amount = rows["is_fraud"].to_numpy() == 1, rows["amount"].to_numpy()
    caught = alerts & fraud
    money = caught * amount - alerts * costs.review - (alerts & ~fraud) * costs.insult
    masks = (caught, fraud, caught & settled, alerts & settled, money)
    return np.stack([np.bincount(code, each, users) for each in masks])


def _measures(sums: Floats) -> Floats:
    """Recall, precision and money from sums of shape (5, ...)."""
    caught, frauds, caught_settled, alerts, money = sums
    return np.stack([caught / np.maximum(frauds, 1), caught_settled / np.maximum(alerts, 1), money])
