"""The metrics that both doors share: every family has the label `door`, "http" or "stream"."""

from __future__ import annotations

import math
import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import itemgetter

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector

from capstone_utils.features.spec import SPEC, Daily
from capstone_utils.serving.model.classifier import Classifier, Verdict

# The 200 ms of the brief is a bound of its own, so that "how many were slower" is counted and not estimated.
LATENCY_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 10.0, 60.0)
PROBABILITY_BOUNDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
LATENESS = {"up to a minute": 60.0, "up to an hour": 3600.0, "beyond": math.inf}  # seconds
SINCE_LAST = SPEC.names.index("seconds_since_last")
BATCH_FEATURES = {
    feature.name: SPEC.names.index(feature.name) for feature in SPEC.features if isinstance(feature, Daily)
}
LOADED, INVALID = "loaded", "invalid"  # what came of a model that was found on disk


class ScoringMetrics:
    """One door's metrics in a registry of their own, so that several doors fit into one process."""

    def __init__(self, door: str) -> None:
        self.registry = CollectorRegistry()
        self._door = door

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, ("door", *labels), registry=self.registry)

        self._requests = counter("prediction_requests", "Transactions that got a verdict").labels(door)
        self._frauds = counter("fraud_predictions", "Transactions called fraud").labels(door)
        self._by_fallback = counter("fallback_predictions", "Frauds that only the fallback saw").labels(door)
        self.duplicates = counter("duplicate_transactions", "Transactions that were scored before").labels(door)
        self.conflicts = counter(
            "conflicting_transactions", "Transactions under an id that another one of their user has"
        ).labels(door)
        self._late = counter("late_transactions", "Transactions older than their user's latest", "lateness")
        self._missing = counter("missing_batch_features", "Transactions without a batch feature", "feature")
        self._reloads = counter("model_reloads", "Model reloads by outcome", "outcome")
        self._model = Gauge("model_info", "Version of the model in use", ["door", "version"], registry=self.registry)
        compiled = Gauge(
            "model_compiled", "1 for compiled trees, 0 for XGBoost itself", ["door"], registry=self.registry
        )
        self._compiled = compiled.labels(door)
        self._latency = BatchHistogram(
            self.registry, "prediction_latency_seconds", "Seconds from request to verdict", LATENCY_BOUNDS, door
        )
        self._probability = BatchHistogram(
            self.registry, "fraud_probability", "Probability of fraud by the model", PROBABILITY_BOUNDS, door
        )
        for lateness in LATENESS:  # a series that is there from the start reads as zero, not as missing
            self._late.labels(door, lateness)
        for feature in BATCH_FEATURES:
            self._missing.labels(door, feature)
        for outcome in (LOADED, INVALID):
            self._reloads.labels(door, outcome)

    def count_verdicts(self, verdicts: Sequence[Verdict], seconds: Sequence[float]) -> None:
        """Count verdicts and the seconds that each of them took."""
        if not verdicts:
            return
        probabilities, frauds, by_fallback = zip(*verdicts, strict=True)
        self._requests.inc(len(verdicts))
        self._frauds.inc(sum(frauds))
        self._by_fallback.inc(sum(by_fallback))
        self._latency.observe(seconds)
        self._probability.observe(probabilities)

    def count_features(self, rows: Sequence[Sequence[float]]) -> None:
        """Count late transactions and missing batch features; `rows` holds features in the spec's order."""
        for seconds in [-since for since in map(itemgetter(SINCE_LAST), rows) if since < 0]:
            lateness = next(name for name, bound in LATENESS.items() if seconds <= bound)
            self._late.labels(self._door, lateness).inc()
        for name, place in BATCH_FEATURES.items():
            if missing := sum(map(math.isnan, map(itemgetter(place), rows))):
                self._missing.labels(self._door, name).inc(missing)

    def decides(self, classifier: Classifier) -> None:
        """Say which model decides from now on, and whether by compiled trees."""
        self._model.clear()
        self._model.labels(self._door, classifier.version).set(1)
        self._compiled.set(classifier.compiled)

    def reloaded(self, sound: bool) -> None:
        """Count a model that was found on disk: in use from now on, or invalid."""
        self._reloads.labels(self._door, LOADED if sound else INVALID).inc()


class BatchHistogram(Collector):
    """A histogram that takes many values at once: prometheus_client's own takes one, and many times as long for it."""

    def __init__(self, registry: CollectorRegistry, name: str, text: str, bounds: tuple[float, ...], door: str) -> None:
        self._name, self._text, self._door = name, text, door
        self._bounds = (*bounds, math.inf)
        self._counts, self._sum = [0] * len(self._bounds), 0.0  # of the values up to each bound
        self._lock = threading.Lock()  # a scrape sees a batch whole or not at all
        registry.register(self)

    def observe(self, values: Sequence[float]) -> None:
        """Count the values, none of them below zero."""
        ordered = sorted(values)
        with self._lock:
            for place, bound in enumerate(self._bounds):
                self._counts[place] += bisect_right(ordered, bound)
            self._sum += sum(ordered)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The family as Prometheus reads it."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        names = [*map(str, self._bounds[:-1]), "+Inf"]
        family = HistogramMetricFamily(self._name, self._text, labels=["door"])
        family.add_metric([self._door], list(zip(names, map(float, counts), strict=True)), total)
        yield family
