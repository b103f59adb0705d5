"""Four careless counts of a user's transactions in the last five minutes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from capstone_utils.ingestion.arrays import Array, Floats

WINDOW_US = 300_000_000


def careless_counts(transactions: pd.DataFrame) -> dict[str, Array]:
    """Each careless way's count for each row of `transactions`, shape (rows,).

    `transactions` are in event-time order.
    """
    times = transactions["event_time_us"].to_numpy()
    return {
        "one window over all customers": _count_between(times, times - WINDOW_US, times),
        "centred: half of it in the future": _by_user(transactions, -WINDOW_US // 2, WINDOW_US // 2),
        "batches of five full minutes": _in_batch(transactions),
        "cached until a minute ago": np.maximum(_by_user(transactions, -WINDOW_US, -60_000_000), 1),
    }


def _by_user(transactions: pd.DataFrame, begin_us: int, end_us: int) -> Array:
    """Transactions of the same user with event time in (t + begin, t + end]."""
    counts = np.zeros(len(transactions))
    times = transactions["event_time_us"].to_numpy()
    for rows in transactions.groupby("user_id").indices.values():
        counts[rows] = _count_between(times[rows], times[rows] + begin_us, times[rows] + end_us)
    return counts


def _in_batch(transactions: pd.DataFrame) -> Array:
    """Transactions of the same user so far within the same batch of five minutes by the clock."""
    batch = transactions["event_time_us"] // WINDOW_US
    counts: Floats = transactions.groupby(["user_id", batch]).cumcount().to_numpy() + 1.0
    return counts


def _count_between(times: Array, begin: Array, end: Array) -> Array:
    """The number of the ascending `times` in each (begin, end]."""
    return (np.searchsorted(times, end, side="right") - np.searchsorted(times, begin, side="right")).astype(float)
