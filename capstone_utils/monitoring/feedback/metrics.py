"""Metrics of the feedback process: what became of scores and labels, and the live quality as gauges.

Times are of the stream: seconds since 1970 of its event time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from capstone_utils.monitoring.drift.metrics import DriftMetrics
from capstone_utils.monitoring.feedback.alert_reasons import REASONS
from capstone_utils.monitoring.feedback.quality import ALL, Quality, Report, Slice, Window
from capstone_utils.transaction import SECOND_US

SCORES = ("joined", "duplicate", "unreadable")
# late: known after its payment was settled; contradicted: another label of its payment says otherwise; unknown: its
# payment was never scored, or is no longer kept; future: known more than a day ahead of its record.
LABELS = ("joined", "duplicate", "late", "contradicted", "unknown", "future", "unreadable")


class FeedbackMetrics(Collector):
    """Counters, and the gauges of `report`, which is replaced whole."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.report: Report | None = None

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"feedback_{name}", text, labels, registry=self.registry)

        self._counters = {
            "scores": counter("scores", "Scores by outcome", "outcome"),
            "labels": counter("labels", "Labels by outcome; one may have several", "outcome"),
        }
        self.reasons = counter("alert_reasons", "Alerts by the feature that spoke loudest for them", "reason")
        for reason in REASONS:
            self.reasons.labels(reason)
        self.lost = counter("lost_batches", "Batches not kept and read again")
        self.deleted = counter("deleted_unread", "Records that retention deleted before they were read")
        self.evicted = counter("evicted_rows", "Scores and labels that went for lack of room")
        self.lag = Gauge("feedback_lag_records", "Records that wait by topic", ["topic"], registry=self.registry)
        for name, outcomes in (("scores", SCORES), ("labels", LABELS)):
            for outcome in outcomes:  # a series that is there from the start reads as zero, not as missing
                self._counters[name].labels(outcome)
        self.registry.register(self)
        self.drift = DriftMetrics(self.registry)

    def count(self, outcomes: Mapping[str, int]) -> None:
        """Count what became of a batch, by outcome as `FeedbackStore.add` names it."""
        for name, number in outcomes.items():
            if name == "evicted":
                self.evicted.inc(number)
            else:
                kind, _, outcome = name.partition("_")
                self._counters[f"{kind}s"].labels(outcome or "joined").inc(number)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges of the last report; families without a value while there is none."""
        report = self.report
        yield from _clocks(report)
        yield from _measures(report)
        calibration = _family("live_calibration_bin_ratio", "Share of fraud by bin of probability", "low", "basis")
        for bin_ in report.calibration if report else ():
            _add(calibration, bin_.expected, f"{bin_.low:g}", "expected")
            _add(calibration, bin_.observed, f"{bin_.low:g}", "observed")
        yield calibration


def _clocks(report: Report | None) -> Iterator[GaugeMetricFamily]:
    clock = _family("feedback_clock_seconds", "The time that the stream has come to")
    label = _family("feedback_last_label_seconds", "When the latest label became known")
    window = _family("live_window_seconds", "The payments that live_* speaks of, by edge", "payments", "edge")
    settled = _family("live_settled_payments", "Settled payments by what settled them", "by")
    waiting = _family("feedback_waiting_labels", "Labels not in use by what they wait for", "what")
    if report is not None:
        _add(clock, report.clock_us / SECOND_US)
        if report.last_label_us is not None:
            _add(label, report.last_label_us / SECOND_US)
        windows: dict[str, Window | None] = {"settled": report.settled, "young": report.young}
        for name, each in windows.items():
            if each is not None:
                _add(window, each.since_us / SECOND_US, name, "from")
                _add(window, each.until_us / SECOND_US, name, "to")
        whole = report.quality.get(ALL, Quality())
        payments = whole.caught + whole.false_alerts + whole.missed + whole.passed
        _add(settled, report.labelled, "label")
        _add(settled, payments - report.labelled, "presumption")
        for name, number in report.waiting.items():
            _add(waiting, number, name)
    yield from (clock, label, window, settled, waiting)


def _measures(report: Report | None) -> Iterator[GaugeMetricFamily]:
    payments = _family("live_payments", "Settled payments by verdict and label", "by", "value", "verdict", "label")
    ratio = _family("live_quality_ratio", "Quality of the verdicts", "payments", "basis", "measure", "by", "value")
    money = _family("live_money_dollars", "Money of settled payments by what became of it", "what", "by", "value")
    hourly = _family("live_false_positives_an_hour", "False alerts among settled payments, an hour", "by", "value")
    calibration = _family("live_calibration_ratio", "Frauds expected for each one that was labelled", "by", "value")
    if report is not None:
        for each, quality in report.quality.items():
            _add(payments, quality.caught, *each, "fraud", "fraud")
            _add(payments, quality.false_alerts, *each, "fraud", "legitimate")
            _add(payments, quality.missed, *each, "legitimate", "fraud")
            _add(payments, quality.passed, *each, "legitimate", "legitimate")
            for what in ("saved", "held", "lost"):
                _add(money, getattr(quality, f"{what}_cents") / 100, what, *each)
            _add(hourly, quality.false_alerts / report.settled.hours if report.settled else math.nan, *each)
            _add(calibration, quality.calibration, *each)
            _add_rates(ratio, "settled", "labels", each, quality)
            _add_rates(ratio, "settled", "estimate", each, quality)
        for each, quality in report.young_quality.items():
            _add_rates(ratio, "young", "estimate", each, quality)
    yield from (payments, ratio, money, hourly, calibration)


def _add_rates(family: GaugeMetricFamily, payments: str, basis: str, each: Slice, quality: Quality) -> None:
    rates = quality.rates if basis == "labels" else quality.estimate
    for measure, value in rates._asdict().items():
        # The fallback decides alerts alone: of what it passed nothing is known, so no recall and no F1 by decided_by.
        if each[0] != "decided_by" or measure == "precision":
            _add(family, value, payments, basis, measure, *each)


def _family(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)


def _add(family: GaugeMetricFamily, value: float, *labels: str) -> None:
    """Give the family a value, if there is one."""
    if not math.isnan(value):
        family.add_metric(labels, value)
