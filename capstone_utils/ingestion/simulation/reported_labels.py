"""Reported labels of simulated fraud: days late, sometimes missing, now and then wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from capstone_utils.arrays import Booleans, Integers
from capstone_utils.ingestion.labels import DAY_US, LABEL_DELAY_DAYS

MEDIAN_REPORT_DAYS = 2.0


REPORT_SPREAD = 0.6  # standard deviation of the logarithm of the reporting delay


@dataclass(frozen=True)
class LabelNoise:
    """How far reported labels stray from the truth, as shares of fraudulent and of legitimate transactions."""

    unreported_fraud: float = 0.01
    false_disputes: float = 1 / 20_000

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, (int, float)) or not 0 <= value <= 1:
                raise ValueError(f"label_noise.{name}={value!r} is not a share (0 to 1)")


def report(
    transaction_ids: Integers,
    event_times_us: Integers,
    fraud: Booleans,
    noise: LabelNoise,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """The labels as the bank gets them: transaction_id, is_fraud as reported, known_at_us; rows in the given order.

    A report comes after a lognormal delay (median two days) of at most `LABEL_DELAY_DAYS`; a payment that nobody
    reports is presumed legitimate when that period has passed.
    """
    chance = generator.random(len(fraud))
    reported = np.where(fraud, chance >= noise.unreported_fraud, chance < noise.false_disputes)
    days = np.full(len(fraud), float(LABEL_DELAY_DAYS))
    drawn = generator.lognormal(np.log(MEDIAN_REPORT_DAYS), REPORT_SPREAD, int(reported.sum()))
    days[reported] = np.minimum(drawn, LABEL_DELAY_DAYS)
    known_at = event_times_us + (days * DAY_US).astype(np.int64)
    return pd.DataFrame({"transaction_id": transaction_ids, "is_fraud": reported, "known_at_us": known_at})
