"""Reported labels of simulated fraud: days late, sometimes missing, now and then wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from capstone_utils.errors import InvalidValue
from capstone_utils.ingestion.arrays import Array
from capstone_utils.ingestion.labels import LABEL_DELAY_DAYS, Label
from capstone_utils.transaction import DAY_US

MEDIAN_REPORT_DAYS = 2.0
REPORT_SPREAD = 0.6  # standard deviation of the logarithm of the reporting delay
CALL_DAYS = 3  # who notices at once calls; what comes later comes with the month's statement, as a chargeback


@dataclass(frozen=True)
class LabelNoise:
    """The errors of reported labels, as shares of fraudulent and of legitimate transactions."""

    unreported_fraud: float = 0.01
    false_disputes: float = 1 / 20_000

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, (int, float)) or not 0 <= value <= 1:
                raise InvalidValue(f"label_noise.{name}={value!r} is not a share (0 to 1)")


def draw_labels(
    transaction_ids: Array,
    event_times_us: Array,
    fraud: Array,
    noise: LabelNoise,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Draw the labels as the bank gets them: transaction_id, is_fraud as reported, known_at_us; a row an id, in order.

    A report comes after a lognormal delay (median two days) of at most `LABEL_DELAY_DAYS`. A transaction that nobody
    reports is presumed legitimate after that period.
    """
    chance = generator.random(len(fraud))
    reported = np.where(fraud, chance >= noise.unreported_fraud, chance < noise.false_disputes)
    days = np.full(len(fraud), float(LABEL_DELAY_DAYS))
    drawn = generator.lognormal(np.log(MEDIAN_REPORT_DAYS), REPORT_SPREAD, int(reported.sum()))
    days[reported] = np.minimum(drawn, LABEL_DELAY_DAYS)
    known_at = event_times_us + (days * DAY_US).astype(np.int64)
    return pd.DataFrame({"transaction_id": transaction_ids, "is_fraud": reported, "known_at_us": known_at})


def reports(transactions: pd.DataFrame, labels: pd.DataFrame) -> list[Label]:
    """The reports of fraud as messages, in the order in which they become known; of all else nobody speaks.

    Columns: transaction_id, user_id, event_time_us; transaction_id, is_fraud, known_at_us, as `Simulation` has them.
    """
    reported = labels[labels["is_fraud"]].merge(transactions, on="transaction_id").sort_values("known_at_us")
    names = ["transaction_id", "user_id", "event_time_us", "known_at_us"]
    rows = zip(*(reported[name].tolist() for name in names), strict=True)
    return [
        Label(
            transaction_id,
            user_id,
            True,
            time_us,
            known_at_us,
            "customer" if known_at_us - time_us < CALL_DAYS * DAY_US else "chargeback",
        )
        for transaction_id, user_id, time_us, known_at_us in rows
    ]
