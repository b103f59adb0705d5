"""The drift watch of the model version that scores now: fed with what the join takes in, and kept with its rows."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import orjson

from capstone_utils.features.spec import SPEC
from capstone_utils.monitoring.drift.metrics import DriftMetrics
from capstone_utils.monitoring.drift.watch import DriftWatch
from capstone_utils.monitoring.feedback.records import BILLION, ScoreRow
from capstone_utils.monitoring.feedback.store import FeedbackStore
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.model.store import InvalidModel
from capstone_utils.serving.score import SPEC_DIGITS

LOG = logging.getLogger(__name__)


class Watching:
    """One watch at a time. A version without a reference in the registry is not watched, which is said once."""

    def __init__(self, registry: ModelRegistry, metrics: DriftMetrics) -> None:
        self._registry, self._metrics = registry, metrics
        self._version = ""

    def take(self, scores: Sequence[tuple[ScoreRow, bytes]], store: FeedbackStore) -> str:
        """Count scores with their messages, and the reports known by now; the state to be kept."""
        clock = store.clock()
        if scores:
            latest, _ = max(scores, key=lambda each: each[0].event_time_us)
            if latest.origin.version != self._version:
                self._begin(latest.origin.version)
        watch = self._metrics.watch
        if watch is not None:
            self._add(watch, scores)
            if clock is not None:
                for report in store.take_reports(clock, self._version):
                    watch.add_report(report)
                for alarm in watch.advance(clock):
                    LOG.warning("drift, %s: %s", alarm.detector, alarm.text)
        state = {"version": self._version, "watch": watch and watch.to_dict()}
        return orjson.dumps(state).decode()

    def restore(self, state: str) -> None:
        """Go on from a state that `take` returned; from nothing, when it is empty or its version has gone."""
        self._version, self._metrics.watch = "", None
        if state:
            kept = orjson.loads(state)
            self._begin(kept["version"])
            if self._metrics.watch is not None and kept["watch"]:
                self._metrics.watch.restore(kept["watch"])

    def _begin(self, version: str) -> None:
        self._version, self._metrics.watch = version, None
        try:
            reference = self._registry.load(version).reference
        except InvalidModel as reason:
            LOG.warning("drift of the model %s is not watched: %s", version, reason)
            return
        if reference is None:
            LOG.warning("drift of the model %s is not watched: it was exported without a reference", version)
            return
        self._metrics.watch = DriftWatch(reference)

    def _add(self, watch: DriftWatch, scores: Sequence[tuple[ScoreRow, bytes]]) -> None:
        kept, rows = [], []
        for row, message in scores:
            if row.origin.version == self._version:
                fields = orjson.loads(message)
                if fields["spec"] == SPEC.hash[:SPEC_DIGITS]:
                    kept.append(row)
                    rows.append([*fields["features"], row.billionths / BILLION])
        if kept:
            watch.add_scores(
                np.array([row.event_time_us for row in kept]),
                np.array([row.user_id for row in kept]),
                np.array(rows, dtype=float),
                np.array([row.alert for row in kept]),
            )
