"""Metrics of the HTTP service: those of both doors, and what it alone has."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from capstone_utils.features.spec import SPEC
from capstone_utils.serving.metrics import ScoringMetrics
from capstone_utils.serving.model.classifier import Verdict
from capstone_utils.serving.score import Score

REFUSED, FAILED, SHED = "refused", "failed", "shed"  # a wrong request, one that failed, one turned away in a rush


class ServiceMetrics(ScoringMetrics):
    """One service's metrics."""

    def __init__(self) -> None:
        super().__init__("http")

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=self.registry)

        self.errors = counter("request_errors", "Requests without a verdict by kind", "kind")
        self.parity_rows = counter("feature_parity_rows", "Transactions whose features were recomputed offline")
        self.parity_mismatches = counter("feature_parity_mismatches", "Features that differed offline", "feature")
        self.unwritten = Gauge("unwritten_verdicts", "Verdicts not in the journal", registry=self.registry)
        self.others = counter("other_errors", "Errors of requests that brought no transaction, or no key", "status")
        for status in ("401", "404", "405"):
            self.others.labels(status)
        for kind in (REFUSED, FAILED, SHED):  # a counter that is there from the start reads as zero, not as missing
            self.errors.labels(kind)
        for feature in (*SPEC.names, "duplicate"):
            self.parity_mismatches.labels(feature)
        self.snapshots = counter("state_snapshots", "Snapshots of the service's state by outcome", "outcome")
        for outcome in ("written", "failed"):
            self.snapshots.labels(outcome)

    def answered(self, verdict: Verdict, seconds: float) -> None:
        """Count one verdict and what it took."""
        self.count_verdicts([verdict], [seconds])

    def scored(self, score: Score, seconds: float) -> None:
        """Count the score on one raw transaction, and what was unusual about it."""
        self.answered(score.verdict, seconds)
        if score.duplicate:
            self.duplicates.inc()
        else:
            self.count_features([score.features])
