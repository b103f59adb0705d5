"""Metrics of retrainings: what the ledger and the latest report say, read at each scrape."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from capstone_utils.monitoring.gate.check import PROMISED
from capstone_utils.monitoring.release.ledger import OUTCOMES, Ledger


class GateMetrics(Collector):
    """The gate's metrics in a registry of their own; any process that runs on may serve them.

    A retraining is a short process that nobody scrapes. What it did stands in the files of `folder`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """The families as Prometheus reads them; every outcome is there from the start."""
        entries = Ledger(self._folder).entries()
        counts = Counter(entry.outcome for entry in entries)
        runs = CounterMetricFamily("gate_runs", "Retrainings and watches by outcome", labels=["outcome"])
        for outcome in OUTCOMES:
            runs.add_metric([outcome], counts[outcome])
        yield runs
        last = max((entry.at for entry in entries), default=0.0)
        yield GaugeMetricFamily("gate_last_run_timestamp_seconds", "Time of the last outcome, 0 without one", last)
        passed = GaugeMetricFamily("gate_check_passed", "1 where the latest report's check passed", labels=["check"])
        compared = GaugeMetricFamily(
            "gate_compared_ratio", "Quality on the latest report's deciding weeks", labels=["measure", "model"]
        )
        report = self._latest_report()
        for check in report.get("checks", ()):
            passed.add_metric([check["name"]], float(check["passed"]))
        for measure in PROMISED:
            for model in ("champion", "challenger"):
                value = report.get("compared", {}).get(measure, {}).get(model)
                if value is not None:
                    compared.add_metric([measure, model], value)
        yield from (passed, compared)

    def _latest_report(self) -> dict[str, Any]:
        """The latest report; empty without one."""
        reports = sorted(self._folder.glob("reports/*/report.json"), key=lambda path: path.stat().st_mtime)
        if not reports:
            return {}
        report: dict[str, Any] = json.loads(reports[-1].read_text(encoding="utf-8"))  # written whole or not at all
        return report
