"""A toy service whose metrics the tests steer, and one real Prometheus that scrapes it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from capstone_utils.monitoring.alerts import ALERTS, faster
from capstone_utils.monitoring.prometheus import Prometheus, start_prometheus
from capstone_utils.settings import Settings

JOB = "fastapi_metrics"
LATENCY_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0)
SCORE_BOUNDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)


@dataclass(eq=False)  # a registry keeps it as a key
class ToyService(Collector):
    """A service on paper: every scrape sees the requests of the time since the scrape before."""

    requests_per_second: float = 100.0
    fraud_share: float = 0.01
    error_share: float = 0.001
    latency_seconds: float = 0.02
    address: str = ""
    _counts: dict[str, float] = field(default_factory=lambda: {"requests": 0.0, "frauds": 0.0, "errors": 0.0})
    _latencies: np.ndarray = field(default_factory=lambda: np.zeros(len(LATENCY_BOUNDS) + 1))
    _scores: np.ndarray = field(default_factory=lambda: np.zeros(len(SCORE_BOUNDS) + 1))
    _latency_sum: float = 0.0
    _score_sum: float = 0.0
    _seen_at: float = field(default_factory=time.monotonic)
    _generator: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))

    def collect(self) -> Iterator[Metric]:
        """The metrics of a service that has lived on until now."""
        self._live_on()
        yield CounterMetricFamily("prediction_requests", "Answered", value=self._counts["requests"])
        yield CounterMetricFamily("fraud_predictions", "Called fraud", value=self._counts["frauds"])
        yield CounterMetricFamily("request_errors", "Failed", value=self._counts["errors"])
        latency = _buckets(self._latencies, LATENCY_BOUNDS)
        yield HistogramMetricFamily(
            "prediction_latency_seconds", "Latency", buckets=latency, sum_value=self._latency_sum
        )
        scores = _buckets(self._scores, SCORE_BOUNDS)
        yield HistogramMetricFamily("fraud_probability", "Score", buckets=scores, sum_value=self._score_sum)

    def describe(self) -> list[Metric]:
        """Nothing: registering must not count as a scrape."""
        return []

    def _live_on(self) -> None:
        now = time.monotonic()
        requests = int(self._generator.poisson(self.requests_per_second * (now - self._seen_at)))
        self._seen_at = now
        fraud = self._generator.random(requests) < self.fraud_share
        latency = self._generator.gamma(4, self.latency_seconds / 4, requests)
        scores = np.where(fraud, self._generator.beta(6, 1.5, requests), self._generator.beta(0.6, 14, requests))
        self._counts["requests"] += requests
        self._counts["frauds"] += int(fraud.sum())
        self._counts["errors"] += int(self._generator.poisson(requests * self.error_share))
        self._latencies += np.bincount(np.searchsorted(LATENCY_BOUNDS, latency), minlength=len(LATENCY_BOUNDS) + 1)
        self._scores += np.bincount(np.searchsorted(SCORE_BOUNDS, scores), minlength=len(SCORE_BOUNDS) + 1)
        self._latency_sum += float(latency.sum())
        self._score_sum += float(scores.sum())


def _buckets(counts: np.ndarray, bounds: tuple[float, ...]) -> list[tuple[str, float]]:
    names = [*map(str, bounds), "+Inf"]
    return [(name, float(total)) for name, total in zip(names, counts.cumsum(), strict=True)]


@pytest.fixture(scope="session")
def toy() -> Iterator[ToyService]:
    """The toy service, listening at `toy.address`."""
    service = ToyService()
    registry = CollectorRegistry()
    registry.register(service)
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    service.address = f"127.0.0.1:{server.server_port}"
    yield service
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def monitoring_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A free port and a directory of its own, with the machine's cache."""
    cache = Settings.from_environment().cache_dir
    return Settings(prometheus_port=0, work_dir=tmp_path_factory.mktemp("monitoring"), cache_dir=cache)


@pytest.fixture(scope="session")
def prometheus(toy: ToyService, monitoring_settings: Settings) -> Iterator[Prometheus]:
    """A real Prometheus that scrapes the toy every second, with the alerts twenty times as fast."""
    rules = faster(ALERTS, 20, monitoring_settings.work_dir / "alerts-20-times.yml")
    with start_prometheus(monitoring_settings, {JOB: toy.address}, scrape_interval="1s", rules=rules) as running:
        yield running
