"""The gauges show the watch of the model that decides: its ratios by column, and when each detector rang last."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from capstone_utils.monitoring.drift.metrics import DETECTORS, DriftMetrics
from capstone_utils.monitoring.drift.watch import DriftWatch
from capstone_utils.transaction import SECOND_US
from tests.monitoring.drift.streams import MONDAY, a_reference, watch_days

RATIO, RANG = "drift_statistic_ratio", "drift_last_alarm_clock_seconds"


def test_ratios_and_last_alarms_are_those_of_the_watch():
    watch = DriftWatch(a_reference())
    registry = CollectorRegistry()
    DriftMetrics(registry, watch)
    assert registry.get_sample_value(RATIO, {"detector": "missed_fraud", "column": ""}) == 0
    assert registry.get_sample_value(RANG, {"detector": "feature"}) == 0
    alarms = watch_days(watch, range(MONDAY, MONDAY + 2), amount=2.0)
    labels = {"detector": "feature", "column": "amount"}
    assert registry.get_sample_value(RATIO, labels) == watch.ratios["feature", "amount"] > 1
    assert registry.get_sample_value(RANG, {"detector": "feature"}) == alarms[0].at_us / SECOND_US
    assert {detector for detector, _ in watch.ratios} <= set(DETECTORS)


def test_a_new_model_s_watch_takes_the_place_of_the_former_one():
    registry = CollectorRegistry()
    metrics = DriftMetrics(registry)
    assert b"drift_statistic_ratio{" not in generate_latest(registry)
    metrics.watch = DriftWatch(a_reference())
    assert registry.get_sample_value(RATIO, {"detector": "missed_fraud", "column": ""}) == 0
