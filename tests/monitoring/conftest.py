"""Toy doors whose metrics the tests steer, and a real Prometheus that scrapes each."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from capstone_utils.monitoring.prometheus.rules import ALERTS, faster
from capstone_utils.monitoring.prometheus.server import Prometheus, start_prometheus
from capstone_utils.serving.metrics import LATENCY_BOUNDS, PROBABILITY_BOUNDS
from capstone_utils.settings import Settings

JOB, STREAM_JOB = "fastapi_metrics", "stream_worker"
FACTOR = 30  # five minutes of the rules are ten seconds here
SCRAPE_INTERVAL = "500ms"


@dataclass(eq=False)  # a registry keeps it as a key
class ToyDoor(Collector):
    """A service or a worker on paper: every scrape sees the requests of the time since the scrape before."""

    requests_per_second: float = 100.0
    fraud_share: float = 0.01
    error_share: float = 0.001
    latency_seconds: float = 0.02
    skew_share: float = 0.0
    honest_score: float = 0.04  # mean score of a payment that is no fraud
    silent: bool = False  # answers a scrape, with no metric in it
    deleted_unread: float = 0.0  # so far; the worker's alone, as the next two
    unreadable: float = 0.0
    moved: float = 0.0
    drifted: tuple[str, str] | None = None  # a detector and a column whose statistic is beyond its limit
    door: str = "http"
    address: str = ""
    _counts: Counter[str] = field(default_factory=Counter)
    _latencies: np.ndarray = field(default_factory=lambda: np.zeros(len(LATENCY_BOUNDS) + 1))
    _scores: np.ndarray = field(default_factory=lambda: np.zeros(len(PROBABILITY_BOUNDS) + 1))
    _seen_at: float = field(default_factory=time.monotonic)
    _generator: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))

    def collect(self) -> Iterator[Metric]:
        """The metrics of a door that has been open until now."""
        now = time.monotonic()
        self.serve(int(self._generator.poisson(self.requests_per_second * (now - self._seen_at))))
        self._seen_at = now
        if self.silent:
            return
        yield _counter("prediction_requests", self._counts["requests"], door=self.door)
        yield _counter("fraud_predictions", self._counts["frauds"], door=self.door)
        yield _histogram("prediction_latency_seconds", self._latencies, LATENCY_BOUNDS, self.door)
        yield _histogram("fraud_probability", self._scores, PROBABILITY_BOUNDS, self.door)
        drift = GaugeMetricFamily("drift_statistic_ratio", "drift_statistic_ratio", labels=["detector", "column"])
        drift.add_metric(self.drifted or ("feature", "amount"), 1.5 if self.drifted else 0.2)
        yield drift
        if self.door == "stream":
            yield _counter("worker_deleted_unread", self.deleted_unread)
            yield _counter("worker_unreadable_batches", self.unreadable)
            yield _counter("worker_moved_records", self.moved)
        else:
            yield _counter("request_errors", self._counts["errors"], kind="failed")
            yield _counter("feature_parity_rows", self._counts["requests"])
            yield _counter("feature_parity_mismatches", self._counts["skewed"], feature="amount")

    def describe(self) -> list[Metric]:
        """Nothing: registering must not count as a scrape."""
        return []

    def serve(self, requests: int) -> None:
        """Count so many requests, of the kind that the shares and means say."""
        fraud = self._generator.random(requests) < self.fraud_share
        latency = self._generator.gamma(4, self.latency_seconds / 4, requests)
        honest = self._generator.beta(0.6, 0.6 / self.honest_score - 0.6, requests)
        scores = np.where(fraud, self._generator.beta(6, 1.5, requests), honest)
        self._counts["requests"] += requests
        self._counts["frauds"] += int(fraud.sum())
        self._counts["errors"] += int(self._generator.binomial(requests, self.error_share))
        self._counts["skewed"] += int(self._generator.binomial(requests, self.skew_share))
        self._latencies += np.bincount(np.searchsorted(LATENCY_BOUNDS, latency), minlength=len(self._latencies))
        self._scores += np.bincount(np.searchsorted(PROBABILITY_BOUNDS, scores), minlength=len(self._scores))

    @contextmanager
    def changed(self, **values: Any) -> Iterator[None]:
        """The toy behaves like this inside the block, and as before after it."""
        before = {name: getattr(self, name) for name in values}
        for name, value in values.items():
            setattr(self, name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                setattr(self, name, value)

    def listen(self) -> None:
        """Answer scrapes at `address`, the same one each time."""
        registry = CollectorRegistry()
        registry.register(self)
        port = int(self.address.rpartition(":")[2] or 0)
        self._server = start_http_server(port, addr="127.0.0.1", registry=registry)
        self.address = f"127.0.0.1:{self._server[0].server_port}"

    def close(self) -> None:
        """Answer no more."""
        server, thread = self._server
        server.shutdown()
        server.server_close()
        thread.join()


def _counter(name: str, value: float, **labels: str) -> CounterMetricFamily:
    family = CounterMetricFamily(name, name, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family


def _histogram(name: str, counts: np.ndarray, bounds: tuple[float, ...], door: str) -> HistogramMetricFamily:
    names = [*map(str, bounds), "+Inf"]
    buckets = [(name, float(total)) for name, total in zip(names, counts.cumsum(), strict=True)]
    family = HistogramMetricFamily(name, name, labels=["door"])
    family.add_metric([door], buckets, 0.0)
    return family


@pytest.fixture(scope="session")
def toy() -> Iterator[ToyDoor]:
    """The toy service that `prometheus` scrapes."""
    service = ToyDoor()
    service.listen()
    yield service
    service.close()


@pytest.fixture(scope="session")
def quiet_toy() -> Iterator[ToyDoor]:
    """Another one, that nobody asks anything: `quiet_prometheus` scrapes it."""
    service = ToyDoor(requests_per_second=0)
    service.listen()
    yield service
    service.close()


@pytest.fixture(scope="session")
def stream_toy() -> Iterator[ToyDoor]:
    """A toy worker: `stream_prometheus` scrapes it."""
    worker = ToyDoor(door="stream")
    worker.listen()
    yield worker
    worker.close()


@pytest.fixture(scope="session")
def monitoring_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A free port and a directory of its own, with the machine's cache."""
    cache = Settings.from_environment().cache_dir
    return Settings(prometheus_port=0, work_dir=tmp_path_factory.mktemp("monitoring"), cache_dir=cache)


@pytest.fixture
def own_settings(monitoring_settings: Settings, tmp_path: Path) -> Settings:
    """The same with a directory of the test's own."""
    return replace(monitoring_settings, work_dir=tmp_path)


@pytest.fixture(scope="session")
def rules(monitoring_settings: Settings) -> Path:
    """The alerts, FACTOR times as fast."""
    return faster(ALERTS, FACTOR, monitoring_settings.work_dir / "faster.yml")


@pytest.fixture(scope="session")
def prometheus(toy: ToyDoor, monitoring_settings: Settings, rules: Path) -> Iterator[Prometheus]:
    """A real Prometheus that scrapes the toy twice a second and follows the faster rules."""
    with start_prometheus(monitoring_settings, {JOB: toy.address}, SCRAPE_INTERVAL, [rules]) as running:
        yield running


@pytest.fixture(scope="session")
def quiet_prometheus(
    quiet_toy: ToyDoor, monitoring_settings: Settings, rules: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """The same, over the toy that nobody asks."""
    settings = replace(monitoring_settings, work_dir=tmp_path_factory.mktemp("quiet"))
    with start_prometheus(settings, {JOB: quiet_toy.address}, SCRAPE_INTERVAL, [rules]) as running:
        yield running


@pytest.fixture(scope="session")
def stream_prometheus(
    stream_toy: ToyDoor, monitoring_settings: Settings, rules: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """The same, over the toy worker."""
    settings = replace(monitoring_settings, work_dir=tmp_path_factory.mktemp("stream"))
    with start_prometheus(settings, {STREAM_JOB: stream_toy.address}, SCRAPE_INTERVAL, [rules]) as running:
        yield running
