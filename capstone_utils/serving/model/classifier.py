"""Verdicts of the models on ready features: without state, so that both doors share one classifier."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from capstone_utils.ingestion.arrays import Floats
from capstone_utils.serving.model.booster import ThresholdedModel
from capstone_utils.serving.model.reasons import Reason, anomaly_reasons, reasons
from capstone_utils.serving.model.store import InvalidModel, Models
from capstone_utils.serving.model.trees import NoLogOdds, Trees, XGBoostMargins, probabilities

LOG = logging.getLogger(__name__)


class Verdict(NamedTuple):
    """The model's probability of fraud, whether it is called fraud, and whether only the fallback says so."""

    probability: float
    fraud: bool
    by_fallback: bool = False


class Classifier:
    """The models of one version, asked for verdicts; the same features get the same verdict, alone or among others.

    `compiled` is false where XGBoost itself computes a model's margins, because its trees could not be read.

    Raises:
        InvalidModel: when a model's margins are not log-odds of fraud.
    """

    def __init__(self, models: Models) -> None:
        self.models = models
        margins = {role: _margins(role, model) for role, model in models.by_role.items()}
        self._score, self._brief = margins["score"], margins["predict"]
        self.compiled = all(isinstance(each, Trees) for each in margins.values())
        self.classify_brief(
            np.zeros(len(models.predict.features)).tolist()
        )  # compiled before the first transaction comes
        self.classify(np.zeros((1, len(models.score.features))))

    @property
    def version(self) -> str:
        """The version of the models: the beginning of their manifest's SHA-256; empty for models from nowhere."""
        return self.models.version

    def classify(self, rows: Sequence[Sequence[float]] | Floats) -> list[Verdict]:
        """A verdict on each row of the full set's features, in the spec's order."""
        if len(rows) == 0:
            return []
        threshold, fallback = self.models.score.threshold, self.models.fallback
        features = np.ascontiguousarray(rows, dtype=float)
        margins = self._score.margins(features)
        shares = probabilities(margins)
        if fallback is None:
            return [Verdict(probability, probability >= threshold) for probability in shares]
        suspicious = fallback.decide(features, margins).tolist()
        return [
            Verdict(probability, True) if probability >= threshold else Verdict(probability, suspect, suspect)
            for probability, suspect in zip(shares, suspicious, strict=True)
        ]

    def explain(self, features: Sequence[float], verdict: Verdict, most: int = 3) -> list[Reason]:
        """The features that spoke loudest for fraud, as `explain` finds them."""
        return explain(self.models, features, verdict, most)

    def classify_brief(self, features: Sequence[float]) -> Verdict:
        """The verdict on the brief's five features, in the brief's order."""
        (probability,) = probabilities(self._brief.margins([features]))
        return Verdict(probability, probability >= self.models.predict.threshold)


def explain(models: Models, features: Sequence[float], verdict: Verdict, most: int = 3) -> list[Reason]:
    """The features that spoke loudest for fraud: to the model, or to the fallback where only that says fraud."""
    if verdict.by_fallback and models.fallback:
        return anomaly_reasons(models.fallback.anomaly.parts(features), features, most)
    return reasons(models.score.booster, features, most)


def _margins(role: str, model: ThresholdedModel) -> Trees | XGBoostMargins:
    try:
        return Trees(model.booster)
    except Exception as error:  # whatever another XGBoost writes differently
        reason = error
    try:
        margins = XGBoostMargins(model.booster)
    except NoLogOdds as error:
        raise InvalidModel(f"the model {role!r} cannot be served: {error}") from None
    LOG.warning(
        "XGBoost itself computes the margins of the model %r, some hundred microseconds each: its trees cannot be "
        "compiled (%r)",
        role,
        reason,
    )
    return margins
