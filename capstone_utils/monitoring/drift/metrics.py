"""The drift detectors' gauges for Prometheus, read from the watch at each scrape; times are event times."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from capstone_utils.monitoring.drift.watch import DriftWatch
from capstone_utils.transaction import SECOND_US

DETECTORS = ("missed_fraud", "feature", "reference", "score", "missing", "new_device", "alerts", "labels")


class DriftMetrics(Collector):
    """The ratios and last alarms of the watch that it holds; a new model's watch takes the place of the former one."""

    def __init__(self, registry: CollectorRegistry, watch: DriftWatch | None = None) -> None:
        self.watch, self.registry = watch, registry
        registry.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The families as Prometheus reads them; without a watch, empty ones."""
        ratios = GaugeMetricFamily(
            "drift_statistic_ratio",
            "Drift statistics as shares of their limits, 1: alarm",
            labels=["detector", "column"],
        )
        rang = GaugeMetricFamily(
            "drift_last_alarm_clock_seconds", "Event time of a detector's last alarm, 0: never", labels=["detector"]
        )
        if self.watch:
            for key, ratio in list(self.watch.ratios.items()):
                ratios.add_metric(key, ratio)
            for detector in DETECTORS:
                rang.add_metric([detector], self.watch.rang_us.get(detector, 0) / SECOND_US)
        yield ratios
        yield rang
