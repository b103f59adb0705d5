"""All drift detectors over one stream of scores and reports, in event time."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from capstone_utils.ingestion.arrays import Booleans, Floats, Integers
from capstone_utils.monitoring.drift.days import LATENESS_US, Days
from capstone_utils.monitoring.drift.distributions import Distributions
from capstone_utils.monitoring.drift.rates import AlertedUsers, Shares
from capstone_utils.monitoring.drift.reports import QUIET, MissedFraud, Report, Silence
from capstone_utils.serving.reference import WEEK, Reference
from capstone_utils.transaction import DAY_US

MISSED = "missed_fraud"


class Alarm(NamedTuple):
    """A detector that rings, what moved, the event time in microseconds since 1970 UTC, and the same for people."""

    detector: str
    column: str
    at_us: int
    text: str


class DriftWatch:
    """The detectors of one model version; each ratio is a statistic as a share of its limit, an alarm at 1.

    Scores and reports may come in any order and in batches of any size. `advance` moves the clock: what became known
    until then is counted in the order of event time, so ratios of closed days and of reports depend on the
    stream alone. A new model version brings its own reference and gets a watch of its own.
    """

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.ratios: dict[tuple[str, str], float] = {(MISSED, ""): 0.0}  # by detector and column
        self.rang_us: dict[str, int] = {}  # the event time of each detector's last alarm
        self._days = Days(reference)
        self._distributions, self._shares = Distributions(self._days), Shares(self._days)
        self._alerted = AlertedUsers(reference.alerted)
        self._missed, self._silence = MissedFraud(reference), Silence(reference)
        self._closed_shares: dict[tuple[str, str], float] = {}
        self._pending: list[Report] = []
        self._ringing: set[tuple[str, str]] = set()

    @property
    def late(self) -> int:
        """Scores that came more than an hour after the end of their day; they are counted in no day."""
        return self._days.late

    def add_scores(self, times_us: Integers, users: Integers, rows: Floats, alerts: Booleans) -> None:
        """Count scores; `rows` has the features in the spec's order and the probability, shape (scores, columns)."""
        self._days.add(times_us, users, rows, alerts)

    def add_report(self, report: Report) -> None:
        """Keep a report until the clock has reached the time at which it became known."""
        heapq.heappush(self._pending, report)

    def advance(self, clock_us: int) -> list[Alarm]:
        """The alarms up to `clock_us`."""
        alarms = []
        while self._pending and self._pending[0].known_at_us <= clock_us:
            alarms += self._count_report(heapq.heappop(self._pending))
        for number, day in self._days.close(clock_us):
            self._alerted.update(day)
            closed_us = (number + 1) * DAY_US + LATENESS_US
            shares = list(self._shares.ratios(number, day))
            self._closed_shares = {(detector, column): ratio for detector, column, ratio in shares}
            ratios = [*self._distributions.ratios(number, day), *self._alerted.ratios(), *shares]
            alarms += self._set(ratios, closed_us)
        alarms += self._set(self._open_shares(), clock_us)
        alarms += self._set(self._silence.ratios(clock_us, self._transactions_a_day()), clock_us)
        return alarms

    def _count_report(self, report: Report) -> list[Alarm]:
        self._silence.last_us = max(self._silence.last_us, report.known_at_us)
        if report.missed is None:
            return []
        former = MISSED, self._missed.named
        ratio = self._missed.update(report)
        if self._missed.named != former[1]:
            del self.ratios[former]
            self._ringing.discard(former)
        return self._set([(MISSED, self._missed.named, ratio)], report.known_at_us, self._missed.text())

    def _open_shares(self) -> list[tuple[str, str, float]]:
        """The shares of the day that was closed last, and of those that are open: the largest of each."""
        largest = dict(self._closed_shares)
        for number, day in self._days.open.items():
            for detector, column, ratio in self._shares.ratios(number, day):
                largest[detector, column] = max(largest.get((detector, column), 0.0), ratio)
        return [(*key, ratio) for key, ratio in largest.items()]

    def _transactions_a_day(self) -> float:
        days = list(self._days.closed.values())[-WEEK:]
        if not days:
            return float(self.reference.weekdays[:, 0].sum() / self.reference.days)
        return float(np.mean([day.transactions for day in days]))

    def _set(self, ratios: Iterable[tuple[str, str, float]], at_us: int, text: str = "") -> list[Alarm]:
        """Take up ratios; the alarms that begin with them."""
        alarms = []
        for detector, column, ratio in ratios:
            key = detector, column
            self.ratios[key] = ratio
            if ratio >= 1 and key not in self._ringing:
                self._ringing.add(key)
                self.rang_us[detector] = at_us
                alarms.append(Alarm(detector, column, at_us, text or f"{column}: {ratio:.1f} times the limit"))
            elif ratio < QUIET:
                self._ringing.discard(key)
        return alarms

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: with the same reference, `restore` takes them and goes on as if nothing had been."""
        return {
            "days": self._days.to_dict(),
            "alerted": self._alerted.evidence,
            "missed": [self._missed.cusum.evidence, self._missed.misses, self._missed.named],
            "silence": self._silence.last_us,
            "pending": sorted(self._pending),
            "ratios": [[*key, ratio] for key, ratio in self.ratios.items()],
            "closed_shares": [[*key, ratio] for key, ratio in self._closed_shares.items()],
            "ringing": sorted(self._ringing),
            "rang_us": self.rang_us,
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take up what `to_dict` described, also after a way through JSON."""
        self._days.restore(kept["days"])
        self._alerted.evidence = dict(kept["alerted"])
        self._missed.cusum.evidence, misses, self._missed.named = kept["missed"]
        self._missed.misses = [(at, category) for at, category in misses]
        self._silence.last_us = kept["silence"]
        self._pending = [Report(*report) for report in kept["pending"]]
        self.ratios, self._closed_shares = (
            {(detector, column): ratio for detector, column, ratio in kept[name]}
            for name in ("ratios", "closed_shares")
        )
        self._ringing = {(detector, column) for detector, column in kept["ringing"]}
        self.rang_us = dict(kept["rang_us"])
