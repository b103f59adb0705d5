"""What the service tells Prometheus about itself."""

from __future__ import annotations

import math

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from capstone_utils.features.spec import SPEC, Daily
from capstone_utils.serving.model import reload
from capstone_utils.serving.model.classifier import Verdict
from capstone_utils.serving.score import Score

# The 200 ms of the brief is a bound of its own, so that "how many were slower" is counted and not estimated.
LATENCY_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5)
PROBABILITY_BOUNDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
BATCH_FEATURES = tuple(feature.name for feature in SPEC.features if isinstance(feature, Daily))
REFUSED, FAILED, SHED = "refused", "failed", "shed"  # a wrong request, one that failed, one turned away in a rush
PLACES = {name: SPEC.names.index(name) for name in ("seconds_since_last", *BATCH_FEATURES)}


class ServiceMetrics:
    """One service's metrics in a registry of their own, so that several services fit into one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=self.registry)

        def histogram(name: str, text: str, bounds: tuple[float, ...]) -> Histogram:
            return Histogram(name, text, buckets=bounds, registry=self.registry)

        self.requests = counter("prediction_requests", "Payments that were given a prediction")
        self.frauds = counter("fraud_predictions", "Payments that were called fraud")
        self.errors = counter("request_errors", "Requests without a prediction, by kind", "kind")
        self.duplicates = counter("duplicate_transactions", "Payments whose transaction_id had been scored before")
        self.late = counter("late_transactions", "Payments older than their customer's latest one")
        self.without_batch = counter("missing_batch_features", "Payments scored without a batch feature", "feature")
        self.parity_rows = counter("feature_parity_rows", "Payments whose features were recomputed offline")
        self.parity_mismatches = counter("feature_parity_mismatches", "Features that differed then", "feature")
        self.latency = histogram("prediction_latency_seconds", "From the request to its answer", LATENCY_BOUNDS)
        self.probability = histogram("fraud_probability", "What the model answered", PROBABILITY_BOUNDS)
        self.by_fallback = counter("fallback_predictions", "Payments that only the fallback called fraud")
        self.reloads = counter("model_reloads", "Models found in place of the one that decides, by outcome", "outcome")
        self.model = Gauge("model_info", "The version that decides", ["version"], registry=self.registry)
        self.unwritten = Gauge("unwritten_answers", "Payments scored and not in the journal", registry=self.registry)
        for outcome in (reload.LOADED, reload.REFUSED):
            self.reloads.labels(outcome)
        for kind in (REFUSED, FAILED, SHED):  # a counter that is there from the start reads as zero, not as missing
            self.errors.labels(kind)
        for feature in (*SPEC.names, "duplicate"):
            self.parity_mismatches.labels(feature)
        self.snapshots = counter("state_snapshots", "Snapshots of the service's state by outcome", "outcome")
        for outcome in ("written", "failed"):
            self.snapshots.labels(outcome)

    def answered(self, verdict: Verdict, seconds: float) -> None:
        """Count one prediction and what it took."""
        self.requests.inc()
        if verdict.fraud:
            self.frauds.inc()
            if verdict.by_fallback:
                self.by_fallback.inc()
        self.latency.observe(seconds)
        self.probability.observe(verdict.probability)

    def scored(self, score: Score, seconds: float) -> None:
        """Count the score on one raw payment, and what was unusual about it."""
        self.answered(score.verdict, seconds)
        if score.duplicate:
            self.duplicates.inc()
            return
        if score.features[PLACES["seconds_since_last"]] < 0:
            self.late.inc()
        for name in BATCH_FEATURES:
            if math.isnan(score.features[PLACES[name]]):
                self.without_batch.labels(name).inc()

    def decides(self, version: str) -> None:
        """Say which model decides from now on."""
        self.model.clear()
        self.model.labels(version).set(1)
