"""Metrics of the stream worker: those of both doors, and what it alone has."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram

from capstone_utils.serving.metrics import ScoringMetrics
from capstone_utils.transaction import FIELDS

# "queue" is how long a batch's oldest record had waited; "rebuild" makes a partition's state from snapshot and log.
STAGES = ("queue", "parse", "features", "score", "produce", "commit", "snapshot", "rebuild")
STAGE_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0)


class WorkerMetrics(ScoringMetrics):
    """One worker's metrics."""

    def __init__(self) -> None:
        super().__init__("stream")

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"worker_{name}", text, labels, registry=self.registry)

        self.dead_letters = counter("dead_letters", "Records that are no transaction by wrong field", "field")
        self.lost = counter("lost_batches", "Batches not committed and read again")
        self.unreadable = counter(
            "unreadable_batches", "Times that a batch could not be unpacked: once a minute for each"
        )
        self.moved = counter("moved_records", "Records that lay on another partition than their user's")
        self.unstamped = counter("unstamped_records", "Records without a timestamp, whose latency nobody knows")
        self.topics_made_anew = counter("topics_made_anew", "Times that the topic was deleted and made anew")
        self.deleted = counter("deleted_unread", "Records that retention deleted before they were read")
        self.snapshots = counter("snapshots", "State snapshots by outcome", "outcome")
        self.stages = Histogram(
            "worker_stage_seconds", "Seconds by stage", ["stage"], buckets=STAGE_BOUNDS, registry=self.registry
        )
        self.lag = Gauge("worker_lag_records", "Records that wait by partition", ["partition"], registry=self.registry)
        self.polled = Gauge(
            "worker_polled_timestamp_seconds",
            "When the worker came back from the broker last",
            registry=self.registry,
        )
        self.polled.set_to_current_time()
        self.started = Gauge(
            "worker_started_timestamp_seconds", "When the worker's process began", registry=self.registry
        )
        self.started.set_to_current_time()
        self._partitions: set[int] = set()  # of which `lag` speaks
        for stage in STAGES:  # a series that is there from the start reads as zero, not as missing
            self.stages.labels(stage)
        for outcome in ("written", "failed", "used", "invalid"):
            self.snapshots.labels(outcome)
        for field in ("message", "key", "schema_version", *FIELDS):
            self.dead_letters.labels(field)

    def waiting(self, lag: Mapping[int, int]) -> None:
        """Say how many records wait, by partition of this worker, after a poll; other partitions are left out."""
        self.polled.set_to_current_time()
        for partition in self._partitions - lag.keys():
            self.lag.remove(str(partition))
        for partition, number in lag.items():
            self.lag.labels(str(partition)).set(number)
        self._partitions = set(lag)

    def stage(self, name: str, seconds: float) -> None:
        """Count what a stage took once."""
        self.stages.labels(name).observe(seconds)
