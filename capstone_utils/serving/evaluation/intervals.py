"""Bootstrap confidence intervals over users."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from capstone_utils.ingestion.arrays import Array, Booleans, Floats, Integers

DRAWS = 1000
AP_DRAWS = 200  # average precision is sorted anew in each draw


def f1_interval(test: pd.DataFrame, alerts: Array, seed: int = 0, share: float = 0.95) -> tuple[float, float]:
    """The interval of F1 on test weeks like this one.

    F1 lies in it for `share` of such weeks, by a percentile bootstrap over users.

    Users are drawn, not transactions: those of one theft are caught or missed together.
    Source: B. Efron, R. Tibshirani: An Introduction to the Bootstrap, 1993, chapter 13.
    """
    low, high = bootstrap(test, alerts, seed=seed, share=share).loc["f1", ["low", "high"]]
    return float(low), float(high)


def bootstrap(
    test: pd.DataFrame,
    alerts: Booleans,
    scores: Floats | None = None,
    seed: int = 0,
    share: float = 0.95,
) -> pd.DataFrame:
    """Value, low and high of f1, precision, recall and, with `scores`, average precision.

    `test` has user_id and is_fraud; `alerts` (bool) and `scores` have shape (rows,).
    """
    labels = test["is_fraud"].to_numpy(bool)
    users, code = np.unique(test["user_id"], return_inverse=True)
    counts = np.stack(
        [np.bincount(code, weights=mask, minlength=len(users)) for mask in (alerts & labels, alerts, labels)]
    )
    generator = np.random.default_rng(seed)
    times_drawn = generator.multinomial(len(users), np.full(len(users), 1 / len(users)), DRAWS)  # (DRAWS, users)
    values, draws = _ratios(counts.sum(axis=1)), _ratios((times_drawn @ counts.T).T)
    if scores is not None:
        values["average_precision"] = np.array(average_precision_score(labels, scores))
        draws["average_precision"] = np.array(
            [average_precision_score(labels, scores, sample_weight=times[code]) for times in times_drawn[:AP_DRAWS]]
        )
    edges = [(1 - share) / 2, (1 + share) / 2]
    rows = {name: [float(values[name]), *np.quantile(draws[name], edges)] for name in values}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"])


def _ratios(counts: Floats | Integers) -> dict[str, Floats]:
    """F1, precision and recall from hits, alerts and frauds, shape (3, ...)."""
    hits, alerts, frauds = counts
    return {
        "f1": 2 * hits / np.maximum(alerts + frauds, 1),
        "precision": hits / np.maximum(alerts, 1),
        "recall": hits / np.maximum(frauds, 1),
    }
