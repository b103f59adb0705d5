"""A share of fraud in three ways: by the labels in the file, by those that had arrived, and as an online
window."""

from __future__ import annotations

import heapq
from collections.abc import Set

import numpy as np
import pandas as pd

from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.spec import FeatureSpec
from capstone_utils.ingestion.arrays import Floats, Integers
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.simulator import Simulation
from capstone_utils.transaction import DAY_SECONDS, DAY_US, SECOND_US, Transaction

FAR = 10**14  # microseconds, more than any stream lasts: users lie that far apart


def fraud_share(frame: pd.DataFrame) -> Floats:
    """The share of fraud among each user's other payments of the 24 hours before, by the labels of the file."""
    fraud = frame[frame["is_fraud"] == 1]
    return _share(frame, fraud, fraud["timestamp"])


def known_share(frame: pd.DataFrame) -> Floats:
    """The same by the labels that had arrived when the payment was made."""
    fraud = frame[frame["is_fraud"] == 1]
    return _share(frame, fraud, fraud[["timestamp", "label_known_at"]].max(axis=1))


def _share(frame: pd.DataFrame, fraud: pd.DataFrame, counts_from: pd.Series) -> Floats:
    """Each fraud counts from `counts_from` until 24 hours after it; a payment does not count for itself."""
    in_time = counts_from < fraud["timestamp"] + DAY_SECONDS
    start = frame["timestamp"].iloc[0]
    times = _moments(frame, frame["timestamp"] - start)
    begins = _moments(fraud[in_time], counts_from[in_time] - start)
    ends = _moments(fraud[in_time], fraud["timestamp"][in_time] + DAY_SECONDS - start)
    frauds = _before(times, begins) - _before(times, ends)
    others = _before(times, times) - _before(times - DAY_US, times)
    shares: Floats = np.divide(frauds, others, out=np.zeros(len(frame)), where=others > 0)
    return shares


def _moments(frame: pd.DataFrame, seconds: pd.Series) -> Integers:
    """Microseconds on one line for all users, one after the other."""
    moments: Integers = (seconds * SECOND_US).round().astype(np.int64).to_numpy() + frame["user_id"].to_numpy() * FAR
    return moments


def _before(times: Integers, moments: Integers) -> Integers:
    """The number of the moments before each of the times."""
    counts: Integers = np.searchsorted(np.sort(moments), times, side="left")
    return counts


def online_values(stream: Simulation, spec: FeatureSpec, users: Set[int]) -> pd.Series:
    """The spec's first feature of these users' payments, made one by one while labels arrive, by
    transaction_id."""
    frame = stream.transactions[stream.transactions["user_id"].isin(users)]
    fraud = stream.labels[stream.labels["is_fraud"] & stream.labels["transaction_id"].isin(frame["transaction_id"])]
    known = dict(zip(fraud["transaction_id"], fraud["known_at_us"], strict=True))
    online = OnlineFeatures(spec)
    reports: list[tuple[int, int]] = []  # of frauds that were seen: when they become known, and their ids
    seen: dict[int, Transaction] = {}
    values: dict[int, float] = {}
    for payment in transactions_of(frame):
        while reports and reports[0][0] <= payment.event_time_us:
            known_at, number = heapq.heappop(reports)
            online.report_fraud(seen[number], known_at)
        features = online.update(payment)
        values[payment.transaction_id] = features[0] if features else np.nan
        if payment.transaction_id in known:
            seen[payment.transaction_id] = payment
            heapq.heappush(reports, (known[payment.transaction_id], payment.transaction_id))
    return pd.Series(values)
