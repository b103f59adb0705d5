"""What the models say of features that are made: stateless, so that every door to the house shares one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from capstone_utils.arrays import Floats
from capstone_utils.serving.model.booster import ThresholdedModel
from capstone_utils.serving.model.reasons import Reason, anomaly_reasons, reasons
from capstone_utils.serving.model.store import InvalidModel, Models
from capstone_utils.serving.model.trees import Trees, UnequalTrees, probabilities


class Verdict(NamedTuple):
    """The model's probability of fraud, whether the payment is called fraud, and whether only the fallback says so."""

    probability: float
    fraud: bool
    by_fallback: bool = False


class Classifier:
    """The models of one directory, asked for verdicts; the same features get the same verdict, alone or among others.

    Raises:
        InvalidModel: when a model's trees do not say what XGBoost says.
    """

    def __init__(self, models: Models) -> None:
        self.models = models
        self._score, self._brief = (_trees(role, getattr(models, role)) for role in ("score", "predict"))
        self.classify_brief(self._brief.edges(1)[0].tolist())  # compiled and ready before the first payment comes
        self.classify(self._score.edges(1))

    @property
    def version(self) -> str:
        """Which models these are: the beginning of their manifest's SHA-256; empty for models from nowhere."""
        return self.models.version

    def classify(self, rows: Sequence[Sequence[float]] | Floats) -> list[Verdict]:
        """A verdict on each row of the full set's features, in the spec's order."""
        if len(rows) == 0:
            return []
        threshold, fallback = self.models.score.threshold, self.models.fallback
        features = np.ascontiguousarray(rows, dtype=float)
        margins = self._score.margins(features)
        found = probabilities(margins)
        if fallback is None:
            return [Verdict(probability, probability >= threshold) for probability in found]
        suspicious = fallback.decide(features, margins).tolist()
        return [
            Verdict(probability, True) if probability >= threshold else Verdict(probability, suspect, suspect)
            for probability, suspect in zip(found, suspicious, strict=True)
        ]

    def explain(self, features: Sequence[float], verdict: Verdict, most: int = 3) -> list[Reason]:
        """What spoke loudest for fraud: to the model, or to the fallback where only that called it fraud."""
        if verdict.by_fallback and self.models.fallback:
            return anomaly_reasons(self.models.fallback.anomaly.parts(features), features, most)
        return reasons(self.models.score.booster, features, most)

    def classify_brief(self, features: Sequence[float]) -> Verdict:
        """The verdict on the brief's five features, in the brief's order."""
        (probability,) = probabilities(self._brief.margins([features]))
        return Verdict(probability, probability >= self.models.predict.threshold)


def _trees(role: str, model: ThresholdedModel) -> Trees:
    try:
        return Trees(model.booster)
    except UnequalTrees as error:
        raise InvalidModel(f"the model {role!r} cannot be served: {error}") from None
