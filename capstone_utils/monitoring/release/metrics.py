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
            "gate_compared_ratio",
            "Quality on the deciding weeks of the latest report with a challenger",
            labels=["measure", "model"],
        )
        reports = self._reports()
        latest: dict[str, Any] = next(reports, {"checks": [], "compared": {}})
        for check in latest["checks"]:
            passed.add_metric([check["name"]], float(check["passed"]))
        trained: dict[str, Any] = next((each["compared"] for each in (latest, *reports) if each["compared"]), {})
        for measure in PROMISED if trained else ():
            for model in ("champion", "challenger"):
                compared.add_metric([measure, model], trained[measure][model])
        yield from (passed, compared)

    def _reports(self) -> Iterator[dict[str, Any]]:
        """The reports, the latest first; each was written whole or not at all."""
        paths = sorted(self._folder.glob("reports/*/report.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        return (json.loads(path.read_text(encoding="utf-8")) for path in paths)
