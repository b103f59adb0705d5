"""Reports of fraud as they become known: more of it missed than expected, and reports that cease."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from capstone_utils.monitoring.drift.cusum import Cusum
from capstone_utils.serving.reference import Reference
from capstone_utils.transaction import DAY_US

# Chosen on worlds of the simulator with seeds up to 2008; docs/drift.md has what they do on others.
EXPECTED_MISSES, MORE_MISSES, LIMIT = 0.06, 0.10, 6.0
LOOK_BACK_US = 4 * DAY_US  # misses among which the commonest category is named
QUIET = 0.5  # an alarm is over when its ratio is below this again
UNNAMED = "unknown"
SILENCE = 20.0  # reports that were due and did not come


class Report(NamedTuple):
    """A transaction reported as fraud. Reports are taken in the order of these fields, and each transaction once."""

    known_at_us: int
    transaction_id: int
    missed: bool | None  # the model did not call it fraud; None: another version scored it
    category: str = ""  # of its merchant


class MissedFraud:
    """Evidence that the model misses more of the reported frauds than it did: no input has to move for that."""

    def __init__(self, reference: Reference) -> None:
        expected = min(max(EXPECTED_MISSES, reference.missed), 1 - 2 * MORE_MISSES)  # of a model that misses all, too
        self.cusum = Cusum(expected, expected + MORE_MISSES, LIMIT)
        self.misses: list[tuple[int, str]] = []  # known at, category
        self.named = ""  # what moved, from the alarm until it is over: the category with most of the latest misses

    def update(self, report: Report) -> float:
        """The ratio after one more report."""
        since = report.known_at_us - LOOK_BACK_US
        self.misses = [each for each in self.misses if each[0] > since]
        if report.missed:
            self.misses.append((report.known_at_us, report.category))
        ratio = self.cusum.update(bool(report.missed))
        if ratio < QUIET:
            self.named = ""
        elif ratio >= 1 and not self.named:
            counts = Counter(category for _, category in self.misses)
            self.named = min(counts, key=lambda category: (-counts[category], category)) or UNNAMED
        return ratio

    def text(self) -> str:
        """The alarm in words."""
        times = sum(category == self.named for _, category in self.misses)
        return f"{times} of the {len(self.misses)} frauds reported lately that were missed are at {self.named}"


class Silence:
    """The reports that were due since the last one came, at the usual share of fraud.

    The first may take a day longer: nobody reports a fraud in the hour in which it happens.
    """

    def __init__(self, reference: Reference) -> None:
        self._share = reference.reported
        self.last_us = 0

    def ratios(self, clock_us: int, transactions_a_day: float) -> Iterator[tuple[str, str, float]]:
        """Detector, column and ratio at the clock's time."""
        self.last_us = self.last_us or clock_us + DAY_US
        due = max(clock_us - self.last_us, 0) / DAY_US * transactions_a_day * self._share
        yield "labels", "silence", due / SILENCE
