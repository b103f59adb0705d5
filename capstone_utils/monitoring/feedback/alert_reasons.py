"""Why payments are called fraud: the feature that spoke loudest for each alert, counted as scores arrive."""

from __future__ import annotations

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import orjson

from capstone_utils.features.spec import SPEC
from capstone_utils.monitoring.feedback.records import BILLION, ScoreRow
from capstone_utils.serving.model.classifier import Verdict, explain
from capstone_utils.serving.model.reasons import loudest
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
        by_version: defaultdict[str, list[tuple[ScoreRow, bytes]]] = defaultdict(list)
        for row, message in scores:
            if row.alert:
                by_version[row.origin.version].append((row, message))
        return Counter(reason for version, alerts in by_version.items() for reason in self._reasons(version, alerts))

    def _reasons(self, version: str, alerts: Sequence[tuple[ScoreRow, bytes]]) -> Iterator[str]:
        """The reason of each alert of one version."""
        models, asked = self._models_of(version), []
        for row, message in alerts:
            fields = orjson.loads(message)
            if models is None or fields["spec"] != SPEC.hash[:SPEC_DIGITS]:
                yield UNKNOWN
                continue
            features = [math.nan if value is None else value for value in fields["features"]]
            if row.origin.decided_by == "fallback":
                verdict = Verdict(row.billionths / BILLION, True, True)
                yield next((reason.feature for reason in explain(models, features, verdict, most=1)), UNKNOWN)
            else:
                asked.append(features)
        if models is not None and asked:
            yield from (name or UNKNOWN for name in loudest(models.score.booster, asked))

    def _load(self, version: str) -> Models | None:
        try:
            return self._registry.load(version)
        except InvalidModel as reason:
            LOG.warning("alerts of the model %s are counted without their reasons: %s", version, reason)
            return None
