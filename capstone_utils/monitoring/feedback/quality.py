"""Quality of the verdicts as far as labels have settled it, and the estimate that the probabilities give meanwhile.

A payment is settled `LABEL_DELAY_DAYS` after it happened: without a report it is then presumed legitimate. Silence is
no news: while no label comes, nothing more is settled. The estimate takes each probability p for the chance of fraud,
as NannyML's confidence-based performance estimation (CBPE) does: it is as good as their calibration, and cannot see a
fraud that looks ordinary.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from capstone_utils.ingestion.labels import LABEL_DELAY_DAYS
from capstone_utils.monitoring.feedback.records import BILLION
from capstone_utils.monitoring.feedback.store import BINS, Cell, FeedbackStore
from capstone_utils.transaction import DAY_US, SECOND_US

WINDOW_DAYS = 7  # of settled payments: a whole week, as weekends differ
SILENCE_DAYS = 1  # without any label: then labels are missing, and not frauds
ALL = ("all", "all")
Slice: TypeAlias = tuple[str, str]  # by what ("all", "version", "door", "decided_by"), and which


class Window(NamedTuple):
    """Payments from `since_us` up to before `until_us`, microseconds since 1970."""

    since_us: int
    until_us: int

    @property
    def hours(self) -> float:
        """The length in hours."""
        return (self.until_us - self.since_us) / SECOND_US / 3600


class Rates(NamedTuple):
    """Shares from 0 to 1; NaN where there is nothing to divide by."""

    precision: float
    recall: float
    f1: float

    @classmethod
    def of(cls, caught: float, false_alerts: float, missed: float) -> Rates:
        """The rates of so many frauds caught, honest payments called fraud, and frauds missed."""
        return cls(
            _share(caught, caught + false_alerts),
            _share(caught, caught + missed),
            _share(2 * caught, 2 * caught + false_alerts + missed),
        )


@dataclass
class Quality:
    """Payments by verdict and label, their money, and what the probabilities expect of them."""

    caught: int = 0  # frauds called fraud
    false_alerts: int = 0  # legitimate, called fraud
    missed: int = 0  # frauds called legitimate
    passed: int = 0  # legitimate, called so
    saved_cents: int = 0  # of frauds caught
    held_cents: int = 0  # of false alerts
    lost_cents: int = 0  # of frauds missed
    alert_billionths: int = 0  # sums of probabilities
    other_billionths: int = 0

    def add(self, cell: Cell) -> None:
        """Count a cell's payments; one without a label counts as legitimate."""
        if cell.alert:
            self.alert_billionths += cell.billionths
        else:
            self.other_billionths += cell.billionths
        if cell.alert and cell.is_fraud:
            self.caught += cell.payments
            self.saved_cents += cell.cents
        elif cell.alert:
            self.false_alerts += cell.payments
            self.held_cents += cell.cents
        elif cell.is_fraud:
            self.missed += cell.payments
            self.lost_cents += cell.cents
        else:
            self.passed += cell.payments

    @property
    def rates(self) -> Rates:
        """Precision, recall and F1, as labelled."""
        return Rates.of(self.caught, self.false_alerts, self.missed)

    @property
    def estimate(self) -> Rates:
        """Precision, recall and F1 as the probabilities expect them, whatever the labels say."""
        caught, missed = self.alert_billionths / BILLION, self.other_billionths / BILLION
        return Rates.of(caught, self.caught + self.false_alerts - caught, missed)

    @property
    def calibration(self) -> float:
        """Frauds expected by the probabilities for each one that was labelled; 1 is right."""
        return _share((self.alert_billionths + self.other_billionths) / BILLION, self.caught + self.missed)


class Calibration(NamedTuple):
    """A bin of probabilities from `low` on: its share of fraud, expected and as labelled; NaN where it is empty."""

    low: float
    expected: float
    observed: float


class Report(NamedTuple):
    """What is known when the stream has come to `clock_us`.

    `settled` holds payments whose labels are complete, the last week of them, and `quality` is theirs, by slice:
    known for payments up to `settled.until_us`. `young` holds the later ones: of these only the estimate is meant.
    """

    clock_us: int
    last_label_us: int | None
    settled: Window | None
    young: Window
    quality: dict[Slice, Quality]
    young_quality: dict[Slice, Quality]
    calibration: list[Calibration]
    labelled: int  # of the settled payments
    waiting: dict[str, int]  # labels, by what they wait for


def make_report(store: FeedbackStore) -> Report | None:
    """The report of a store as of its clock; None while it has too few scores to have one."""
    clock, first = store.clock(), store.first_score()
    if clock is None or first is None:
        return None
    last_label = store.last_label(clock)
    settled = _settled(first, clock, last_label)
    young = Window(settled.until_us if settled else first, clock + 1)
    cells = store.cells(clock, *settled) if settled else []
    return Report(
        clock,
        last_label,
        settled,
        young,
        by_slice(cells),
        by_slice(store.cells(clock, *young)),
        _calibration(cells),
        sum(cell.payments for cell in cells if cell.is_fraud is not None),
        store.waiting_labels(clock),
    )


def by_slice(cells: Iterable[Cell]) -> dict[Slice, Quality]:
    """The quality of all payments, and by model version, door and decided_by."""
    slices: dict[Slice, Quality] = defaultdict(Quality)
    for cell in cells:
        for each in (ALL, *cell.origin._asdict().items()):
            slices[each].add(cell)
    return dict(slices)


def _settled(first: int, clock: int, last_label: int | None) -> Window | None:
    if last_label is None:
        return None
    until = min(clock, last_label + SILENCE_DAYS * DAY_US) - LABEL_DELAY_DAYS * DAY_US
    since = max(first, until - WINDOW_DAYS * DAY_US)
    return Window(since, until) if since < until else None


def _calibration(cells: Iterable[Cell]) -> list[Calibration]:
    payments, frauds, expected = ([0] * (len(BINS) + 1) for _ in range(3))
    for cell in cells:
        payments[cell.bin] += cell.payments
        frauds[cell.bin] += cell.payments if cell.is_fraud else 0
        expected[cell.bin] += cell.billionths
    return [
        Calibration(low, _share(expected[place] / BILLION, payments[place]), _share(frauds[place], payments[place]))
        for place, low in enumerate((0.0, *BINS))
    ]


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
