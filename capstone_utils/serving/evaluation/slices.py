"""Slices of an evaluation: recall by kind of fraud and user."""

from __future__ import annotations

import numpy as np
import pandas as pd

from capstone_utils.ingestion.arrays import Array

THIRDS = ("low", "middle", "high")


def recall_by_scenario(test: pd.DataFrame, alerts: Array, truth: pd.DataFrame) -> pd.DataFrame:
    """Fraud, and the share of it that was caught, for each scenario.

    `truth` (transaction_id, scenario) is for evaluation only: no feature ever sees it.
    """
    scenario = truth.set_index("transaction_id")["scenario"].loc[test["transaction_id"]].astype(str).to_numpy()
    frame = pd.DataFrame({"scenario": scenario, "caught": alerts})
    frame = frame[frame["scenario"] != "legitimate"]
    return frame.groupby("scenario")["caught"].agg(fraud="size", recall="mean")


def user_segments(history: pd.DataFrame) -> pd.DataFrame:
    """Each user's third by mean amount (`spending`) and by number of transactions (`activity`), by user_id.

    A third is "low", "middle" or "high". Take `history` from the training weeks, never from the test weeks.
    """
    users = history.groupby("user_id")["amount"].agg(spending="mean", activity="size")
    ranks = users.rank(method="first", pct=True)
    return ranks.apply(lambda column: pd.cut(column, [0, 1 / 3, 2 / 3, 1], labels=THIRDS))


def recall_by_segment(test: pd.DataFrame, alerts: Array, segments: pd.DataFrame) -> pd.DataFrame:
    """One row per segment: payments, fraud, recall, and honest payments stopped by mistake in 10,000.

    `segments` comes from `user_segments`; users that it does not know are left out.
    """
    rows = []
    for kind in segments:
        segment = test["user_id"].map(segments[kind]).astype(object).to_numpy()
        for third in THIRDS:
            chosen = segment == third
            fraud, alert = test["is_fraud"].to_numpy(bool)[chosen], alerts[chosen]
            mistakes = (alert & ~fraud).sum() / max((~fraud).sum(), 1)
            recall = alert[fraud].mean() if fraud.any() else np.nan
            rows.append((kind, third, len(fraud), int(fraud.sum()), recall, 1e4 * mistakes))
    columns = ["segment", "third", "payments", "fraud", "recall", "mistakes in 10,000"]
    return pd.DataFrame(rows, columns=columns).set_index(["segment", "third"])
