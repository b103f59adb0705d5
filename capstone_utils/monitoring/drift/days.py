"""What was seen on a day of the stream, in whole numbers: the same in whatever order its transactions come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from capstone_utils.ingestion.arrays import Booleans, Floats, Integers
from capstone_utils.serving.reference import MISSING, PLACES, WEEK, Reference, weekday
from capstone_utils.transaction import DAY_US

KEPT_DAYS = 2 * WEEK  # before the open one
LATENESS_US = 3_600_000_000  # so long after its end a day takes late transactions


@dataclass
class Day:
    """Counts of each column's values in bins, and the users called fraud."""

    counts: Integers  # shape (columns, PLACES + 1)
    alerted: set[int] = field(default_factory=set)

    @property
    def transactions(self) -> int:
        """The transactions counted."""
        return int(self.counts[0].sum())

    @property
    def missing(self) -> Integers:
        """Missing values of each column, shape (columns,)."""
        return self.counts[:, MISSING]


class Days:
    """The open days and the `KEPT_DAYS` closed ones before them, by day since 1970 UTC."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.open: dict[int, Day] = {}
        self.closed: dict[int, Day] = {}
        self.late = 0  # transactions of a day that was closed, which are counted nowhere else
        self._next = -1  # the first day that may still be open

    def add(self, times_us: Integers, users: Integers, rows: Floats, alerts: Booleans) -> None:
        """Count transactions in whatever order; `rows` has the reference's columns, shape (transactions, columns)."""
        day = times_us // DAY_US
        for number in np.unique(day).tolist():
            chosen = day == number
            if number < self._next:
                self.late += int(chosen.sum())
                continue
            today = self.open.setdefault(number, self._empty())
            today.counts = today.counts + self.reference.counts(rows[chosen])
            today.alerted.update(users[chosen & alerts].tolist())

    def close(self, clock_us: int) -> Iterator[tuple[int, Day]]:
        """Each day that ended an hour before the clock or earlier."""
        for number in sorted(self.open):
            if (number + 1) * DAY_US + LATENESS_US > clock_us:
                break
            day = self.closed[number] = self.open.pop(number)
            self._next = number + 1
            yield number, day
            for old in [each for each in self.closed if each <= number - KEPT_DAYS]:
                del self.closed[old]

    def usual(self, number: int) -> tuple[Integers, float]:
        """Counts of the same weekday before a day, and of how many weeks.

        Of the two weeks before; where one of them was not seen, those of the model's reference.
        """
        weeks = [self.closed[before] for before in (number - WEEK, number - 2 * WEEK) if before in self.closed]
        if len(weeks) < 2:
            return self.reference.weekdays[weekday(number)], self.reference.days / WEEK
        return weeks[0].counts + weeks[1].counts, 2.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, which `restore` takes."""
        return {
            "next": self._next,
            "late": self.late,
            **{
                name: {str(number): [day.counts.tolist(), sorted(day.alerted)] for number, day in days.items()}
                for name, days in (("open", self.open), ("closed", self.closed))
            },
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take up what `to_dict` described."""
        self._next, self.late = kept["next"], kept["late"]
        self.open, self.closed = (
            {int(number): Day(np.array(counts), set(alerted)) for number, (counts, alerted) in kept[name].items()}
            for name in ("open", "closed")
        )

    def _empty(self) -> Day:
        return Day(np.zeros((len(self.reference.columns), PLACES + 1), dtype=np.int64))
