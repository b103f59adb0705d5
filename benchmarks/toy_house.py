"""A house on paper: the real metrics of service, worker and feedback process, fed with traffic that is steered.

What Prometheus scrapes here has the names, labels and types of the real processes: their own classes make it. Tests
and benchmarks inject an alert's cause without waiting for a broker or a model.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import numpy as np
from prometheus_client import CollectorRegistry

from capstone_utils.daemon import Looking, scraped
from capstone_utils.features.daily_tables import DailyTable
from capstone_utils.features.spec import SPEC
from capstone_utils.monitoring.feedback.metrics import FeedbackMetrics
from capstone_utils.monitoring.feedback.quality import Report, Window
from capstone_utils.monitoring.release.ledger import Ledger
from capstone_utils.monitoring.release.metrics import GateMetrics
from capstone_utils.serving.metrics import BATCH_FEATURES, ScoringMetrics
from capstone_utils.serving.model.classifier import Verdict
from capstone_utils.serving.service.metrics import FAILED, ServiceMetrics
from capstone_utils.serving.worker.metrics import WorkerMetrics
from capstone_utils.transaction import DAY_US

SERVICE, WORKER, FEEDBACK = "fastapi_metrics", "stream_worker", "feedback"  # Prometheus' jobs
TICK_SECONDS = 0.05
NOW = 1_767_571_200_000_000  # of the toy stream, microseconds since 1970
CALM = Report(
    clock_us=NOW,
    last_label_us=NOW,
    settled=Window(NOW - 14 * DAY_US, NOW - 7 * DAY_US),
    young=Window(NOW - 7 * DAY_US, NOW),
    quality={},
    young_quality={},
    calibration=[],
    labelled=0,
    waiting={"score": 0},
)


@dataclass
class Traffic:
    """What comes through one door."""

    per_second: float = 100.0
    fraud_share: float = 0.01
    seconds: float = 0.02  # that a prediction takes, half of them
    error_share: float = 0.001  # of the requests over HTTP
    missing_share: float = 0.002  # of batch features
    skew_share: float = 0.0  # of features that differ offline
    dead_share: float = 0.0  # of records that are no payment
    waiting_per_second: float = 0.0  # by how much the lag grows
    waiting: float = 0.0
    frozen: bool = False  # the worker does not come back from the broker


class Exporter:
    """A registry that is scraped at `address`, the same one each time."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry, self.address = registry, ""
        self.listen()

    def listen(self) -> None:
        """Answer scrapes."""
        port = int(self.address.rpartition(":")[2] or 0)
        self._parts = ExitStack()
        self.address = self._parts.enter_context(scraped(self._registry, "127.0.0.1", port))

    def close(self) -> None:
        """Answer no more."""
        self._parts.close()


class ToyHouse:
    """The three processes; `traffic` by door, `report`, `drift` and `ledger` are what a cause changes."""

    def __init__(self, folder: Path) -> None:
        self.service, self.worker, self.feedback = ServiceMetrics(), WorkerMetrics(), FeedbackMetrics()
        self.feedback.registry.register(GateMetrics(folder))
        self.ledger = Ledger(folder)
        self.traffic = {"http": Traffic(), "stream": Traffic()}
        self.drift = {("feature", "amount"): 0.2}
        self.feedback.drift.watch = SimpleNamespace(ratios=self.drift, rang_us={})  # type: ignore[assignment]
        self.feedback.report = CALM
        self._generator = np.random.default_rng(7)
        for door in (self.service, self.worker):
            self.decides(door, "aaaaaaaaaaaa")
            self.tables_end(door, 0)
        registries = {SERVICE: self.service, WORKER: self.worker, FEEDBACK: self.feedback}
        self.exporters = {job: Exporter(each.registry) for job, each in registries.items()}
        self._served_at = time.monotonic()
        self._looking = Looking(self._serve, TICK_SECONDS)

    @property
    def targets(self) -> dict[str, str]:
        """The address of each job, for Prometheus."""
        return {job: exporter.address for job, exporter in self.exporters.items()}

    def decides(self, door: ScoringMetrics, version: str, compiled: bool = True) -> None:
        """Let a door say that this version decides."""
        door.decides(SimpleNamespace(version=version, compiled=compiled))  # type: ignore[arg-type]

    def tables_end(self, door: ScoringMetrics, days_ago: int) -> None:
        """Let a door's batch tables end so many days before its latest payment."""
        day = NOW // DAY_US
        door.uses_tables({"merchant_risk": DailyTable(day - days_ago, np.zeros((1, 1)), {})})
        door.count_day(NOW)

    @contextmanager
    def changed(self, what: object, **values: Any) -> Iterator[None]:
        """Attributes of a part of the house have these values inside the block, and those before after it."""
        before = {name: getattr(what, name) for name in values}
        for name, value in values.items():
            setattr(what, name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                setattr(what, name, value)

    def stop(self) -> None:
        """End traffic and scrapes."""
        self._looking.stop()
        for exporter in self.exporters.values():
            exporter.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _serve(self) -> None:
        """Count the payments of the time since the last call."""
        now = time.monotonic()
        elapsed, self._served_at = now - self._served_at, now
        http, stream = self.traffic["http"], self.traffic["stream"]
        number = self._score(self.service, http, elapsed)
        self.service.errors.labels(FAILED).inc(self._some(number, http.error_share))
        self.service.parity_rows.inc(number)
        self.service.parity_mismatches.labels("amount").inc(self._some(number, http.skew_share))
        number = self._score(self.worker, stream, elapsed)
        self.worker.dead_letters.labels("amount").inc(self._some(number, stream.dead_share))
        stream.waiting = max(stream.waiting + stream.waiting_per_second * elapsed, 0.0)
        if not stream.frozen:
            self.worker.waiting({0: int(stream.waiting)})

    def _score(self, door: ScoringMetrics, traffic: Traffic, elapsed: float) -> int:
        number = int(self._generator.poisson(traffic.per_second * elapsed))
        frauds = self._generator.random(number) < traffic.fraud_share
        scores = np.clip(self._generator.normal(np.where(frauds, 0.8, 0.04), 0.05), 0, 1)
        seconds = traffic.seconds * self._generator.lognormal(0, 0.3, number)
        door.count_verdicts(
            [Verdict(*each) for each in zip(scores.tolist(), frauds.tolist(), strict=True)], seconds.tolist()
        )
        row = [0.0] * len(SPEC.names)
        place = next(iter(BATCH_FEATURES.values()))
        missing = [*row[:place], float("nan"), *row[place + 1 :]]
        door.count_features([missing] * self._some(number, traffic.missing_share))
        return number

    def _some(self, number: int, share: float) -> int:
        return int(self._generator.binomial(number, share))
