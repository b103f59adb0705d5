"""What a worker tells Prometheus about itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from capstone_utils.arrays import Floats
from capstone_utils.features.spec import SPEC, Daily
from capstone_utils.serving.model.classifier import Verdict
from capstone_utils.serving.model.reload import LOADED, REFUSED
from capstone_utils.transaction import FIELDS

STAGES = ("queue", "parse", "features", "score", "produce", "commit", "snapshot")
STAGE_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 10.0, 60.0)
BATCH_BOUNDS = (1, 10, 50, 100, 250, 500, 1_000, 2_000)
REBUILD_BOUNDS = (0.01, 0.1, 0.5, 1, 5, 15, 60, 300)
LATENESS = {"up to a minute": 60.0, "up to an hour": 3600.0, "beyond": math.inf}
SINCE_LAST = SPEC.names.index("seconds_since_last")
DAILY = {feature.name: SPEC.names.index(feature.name) for feature in SPEC.features if isinstance(feature, Daily)}


class WorkerMetrics:
    """One worker's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"worker_{name}", text, labels, registry=self.registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"worker_{name}", text, labels, registry=self.registry)

        def histogram(name: str, text: str, bounds: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"worker_{name}", text, labels, buckets=bounds, registry=self.registry)

        self.consumed = counter("consumed", "Records read and committed, of whatever kind")
        self.scored = counter("scored", "Payments scored")
        self.frauds = counter("frauds", "Payments called fraud, by what called them so", "decided_by")
        self.late = counter("late", "Payments older than their customer's latest one, by how much", "by")
        self.duplicates = counter("duplicates", "Payments seen before: skipped")
        self.without_daily = counter("missing_batch_features", "Payments scored without a batch feature", "feature")
        self.dead = counter("dead_letters", "Records that are no payment, by the field that was wrong", "field")
        self.lost = counter("lost_transactions", "Batches that were not committed and are read again")
        self.gone = counter("deleted_unread", "Records that retention deleted before they were read")
        self.snapshots = counter("snapshots", "Snapshots, by what came of them", "outcome")
        self.reloads = counter("model_reloads", "Models found in place of the one that decides, by outcome", "outcome")
        self.batch = histogram("batch_records", "Records in a batch", BATCH_BOUNDS)
        self.stages = histogram("stage_seconds", "A batch's time, by stage", STAGE_BOUNDS, "stage")
        self.latency = histogram("latency_seconds", "From produced to committed, of each batch's oldest", STAGE_BOUNDS)
        self.rebuild = histogram("rebuild_seconds", "Making a partition's state from snapshot and log", REBUILD_BOUNDS)
        self.lag = gauge("lag", "Records that wait", "partition")
        self.users = gauge("users", "Customers in the state")
        self.model = gauge("model_info", "The version that decides", "version")
        self._partitions: set[int] = set()  # of which `lag` speaks
        for name in STAGES:  # a series that is there from the start reads as zero, not as missing
            self.stages.labels(name)
        for outcome in (LOADED, REFUSED):
            self.reloads.labels(outcome)
        for outcome in ("written", "failed", "used", "refused"):
            self.snapshots.labels(outcome)
        for field in ("message", "key", "schema_version", *FIELDS):
            self.dead.labels(field)

    def waiting(self, lag: Mapping[int, int]) -> None:
        """Say how many records wait, by partition of this worker; of others nothing is said any more."""
        for partition in self._partitions - lag.keys():
            self.lag.remove(str(partition))
        for partition, number in lag.items():
            self.lag.labels(str(partition)).set(number)
        self._partitions = set(lag)

    def stage(self, name: str, seconds: float) -> None:
        """Count what one batch took in a stage."""
        self.stages.labels(name).observe(seconds)

    def scores(self, features: Floats, verdicts: Sequence[Verdict]) -> None:
        """Count a batch's scores, and what was unusual about its features, shape (payments, features of the spec)."""
        if not verdicts:
            return
        self.scored.inc(len(verdicts))
        by_fallback = sum(verdict.by_fallback for verdict in verdicts)
        self.frauds.labels("fallback").inc(by_fallback)
        self.frauds.labels("model").inc(sum(verdict.fraud for verdict in verdicts) - by_fallback)
        lateness = -features[:, SINCE_LAST]
        for name, bound in LATENESS.items():
            beyond = lateness > bound
            if number := int(((lateness > 0) & ~beyond).sum()):
                self.late.labels(name).inc(number)
            lateness = np.where(beyond, lateness, -1.0)
        for name, place in DAILY.items():
            if number := int(np.isnan(features[:, place]).sum()):
                self.without_daily.labels(name).inc(number)

    def decides(self, version: str) -> None:
        """Say which model decides from now on."""
        self.model.clear()
        self.model.labels(version).set(1)
