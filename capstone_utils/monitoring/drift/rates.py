"""Rates as shares of their limits: missing values, devices never seen, users called fraud, the age of batch tables."""

from __future__ import annotations

import math
from collections.abc import Iterator

from capstone_utils.monitoring.drift.days import Day, Days
from capstone_utils.monitoring.drift.measures import ROWS_NEEDED

MISSING_MORE, NEW_MORE = 0.02, 0.01  # share of a day's transactions, above what is usual
NEW_DEVICE = "is_new_device"
FEWER, MORE = "fewer", "more"
FACTORS = {FEWER: 0.5, MORE: 4.0}  # of the usual number of users; twice as many is one shop whose terminal was abused
ALERTS_LIMIT = 20.0  # of the log-likelihood ratio


class Shares:
    """A day's transactions with a missing feature, or from a device that the user never had, against the usual ones.

    An open day counts as if the rest of it were in order: so many of its transactions as are usual for its weekday. So
    a ratio only grows within a day, and 1 is reached as soon as it can no longer be avoided.
    """

    def __init__(self, days: Days) -> None:
        self._days = days
        self._columns = days.reference.columns

    def ratios(self, number: int, day: Day) -> Iterator[tuple[str, str, float]]:
        """Detector, column and ratio of a day, open or closed."""
        usual, weeks = self._days.usual(number)
        before = usual[0].sum()
        most = max(day.transactions, before / weeks, ROWS_NEEDED)
        for place, column in enumerate(self._columns):
            limit = usual[place, -1] / before + MISSING_MORE
            yield "missing", column, float(day.missing[place] / most / limit)
            if column == NEW_DEVICE:
                flagged = self._days.reference.above(place, 0.0)
                limit = usual[place, flagged].sum() / before + NEW_MORE
                yield "new_device", column, float(day.counts[place, flagged].sum() / most / limit)


class AlertedUsers:
    """The number of users called fraud, day by day: evidence that it has halved, or become four times as large.

    Users are counted and not alerts, because one theft rings many times. Source: as in `cusum`, for Poisson numbers.
    """

    def __init__(self, share: float) -> None:
        self.share = share  # of a day's transactions: the usual number of users called fraud
        self.evidence = dict.fromkeys(FACTORS, 0.0)

    def update(self, day: Day) -> None:
        """Count a day."""
        users, usual = len(day.alerted), self.share * day.transactions
        for direction, factor in FACTORS.items():
            evidence = self.evidence[direction] + users * math.log(factor) - usual * (factor - 1)
            self.evidence[direction] = min(max(evidence, 0.0), 2 * ALERTS_LIMIT)

    def ratios(self) -> Iterator[tuple[str, str, float]]:
        """Detector, column and ratio in both directions."""
        for direction, evidence in self.evidence.items():
            yield "alerts", direction, evidence / ALERTS_LIMIT
