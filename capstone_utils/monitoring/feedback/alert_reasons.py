"""Why payments are called fraud: the feature that spoke loudest for each alert, counted as scores arrive."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

import orjson

from capstone_utils.features.spec import SPEC
from capstone_utils.monitoring.feedback.records import BILLION, ScoreRow
from capstone_utils.serving.model.classifier import Verdict, explain
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.model.store import InvalidModel, Models
from capstone_utils.serving.score import SPEC_DIGITS

LOG = logging.getLogger(__name__)
UNKNOWN = "unknown"  # the version is not in the registry, or its features are of another spec
REASONS = (*SPEC.names, UNKNOWN)


class AlertReasons:
    """The reasons by the version that scored; two are kept at hand: while one takes the other's place, both score."""

    def __init__(self, registry: ModelRegistry) -> None:
        self._registry = registry
        self._models_of = lru_cache(maxsize=2)(self._load)

    def count(self, scores: Iterable[tuple[ScoreRow, bytes]]) -> Counter[str]:
        """How often each feature spoke loudest, among the alerts of these scores with their messages."""
        return Counter(self._reason(row, message) for row, message in scores if row.alert)

    def _reason(self, row: ScoreRow, message: bytes) -> str:
        models = self._models_of(row.origin.version)
        fields = orjson.loads(message)
        if models is None or fields["spec"] != SPEC.hash[:SPEC_DIGITS]:
            return UNKNOWN
        features = [math.nan if value is None else value for value in fields["features"]]
        verdict = Verdict(row.billionths / BILLION, True, row.origin.decided_by == "fallback")
        found = explain(models, features, verdict, most=1)
        return found[0].feature if found else UNKNOWN

    def _load(self, version: str) -> Models | None:
        try:
            return self._registry.load(version)
        except InvalidModel as reason:
            LOG.warning("alerts of the model %s are counted without their reasons: %s", version, reason)
            return None
