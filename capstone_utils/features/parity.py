"""Proof that two computations of the features agree: bit for bit, feature by feature, with the worst example."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def parity_report(online: pd.DataFrame, offline: pd.DataFrame, features: Sequence[str]) -> pd.DataFrame:
    """One row a feature: rows compared, mismatches, nulls on one side only, and the worst example of a mismatch.

    Both frames are indexed by transaction_id; a transaction on one side only is an error, not a mismatch.

    Raises:
        ValueError: when the two frames do not hold the same transactions.
    """
    missing = online.index.symmetric_difference(offline.index)
    if len(missing):
        raise ValueError(f"{len(missing)} transactions are on one side only, such as transaction_id={missing[0]}")
    offline = offline.loc[online.index]
    return pd.DataFrame([_compare(name, online[name], offline[name]) for name in features])


def _compare(name: str, online: pd.Series, offline: pd.Series) -> dict[str, object]:
    left, right = online.to_numpy(float), offline.to_numpy(float)
    one_null = np.isnan(left) != np.isnan(right)
    differs = one_null | ~((left == right) | (np.isnan(left) & np.isnan(right)))
    row: dict[str, object] = {
        "feature": name,
        "rows": len(left),
        "mismatches": int(differs.sum()),
        "nulls_on_one_side": int(one_null.sum()),
        "worst_transaction": None,
        "online": np.nan,
        "offline": np.nan,
    }
    if differs.any():
        gap = np.where(one_null, np.inf, np.abs(left - right))
        worst = int(np.argmax(np.where(differs, gap, -1.0)))
        row |= {"worst_transaction": online.index[worst], "online": left[worst], "offline": right[worst]}
    return row
