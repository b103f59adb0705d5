"""What the models say of features that are made: stateless, so that every door to the house shares one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from capstone_utils.serving.detective import Detective
from capstone_utils.serving.reasons import Reason, reasons, surprises
from capstone_utils.serving.store import InvalidModel, Models
from capstone_utils.serving.trees import Trees, UnequalTrees, probabilities


class Ruling(NamedTuple):
    """The model's probability of fraud, whether the payment is called fraud, and whether only the fallback says so."""

    probability: float
    fraud: bool
    by_fallback: bool = False


class Judge:
    """The models of one directory, asked for rulings; the same features get the same ruling, alone or among others.

    Raises:
        InvalidModel: when a model's trees do not say what XGBoost says.
    """

    def __init__(self, models: Models) -> None:
        self.models = models
        self._score, self._brief = (_trees(role, getattr(models, role)) for role in ("score", "predict"))
        self.rule_brief(self._brief.edges(1)[0].tolist())  # compiled and ready before the first payment comes
        self.rule(self._score.edges(1))

    @property
    def version(self) -> str:
        """Which models these are: the beginning of their manifest's SHA-256; empty for models from nowhere."""
        return self.models.version

    def rule(self, rows: Sequence[Sequence[float]] | np.ndarray) -> list[Ruling]:
        """A ruling on each row of the full set's features, in the spec's order."""
        if len(rows) == 0:
            return []
        threshold, fallback = self.models.score.threshold, self.models.fallback
        features = np.ascontiguousarray(rows, dtype=float)
        margins = self._score.margins(features)
        found = probabilities(margins)
        if fallback is None:
            return [Ruling(probability, probability >= threshold) for probability in found]
        suspicious = fallback.decide(features, margins).tolist()
        return [
            Ruling(probability, True) if probability >= threshold else Ruling(probability, suspect, suspect)
            for probability, suspect in zip(found, suspicious, strict=True)
        ]

    def explain(self, features: Sequence[float], ruling: Ruling, most: int = 3) -> list[Reason]:
        """What spoke loudest for fraud: to the model, or to the fallback where only that called it fraud."""
        if ruling.by_fallback and self.models.fallback:
            return surprises(self.models.fallback.surprise.parts(features), features, most)
        return reasons(self.models.score.booster, features, most)

    def rule_brief(self, features: Sequence[float]) -> Ruling:
        """The ruling on the brief's five features, in the brief's order."""
        (probability,) = probabilities(self._brief.margins([features]))
        return Ruling(probability, probability >= self.models.predict.threshold)


def _trees(role: str, detective: Detective) -> Trees:
    try:
        return Trees(detective.booster)
    except UnequalTrees as error:
        raise InvalidModel(f"the model {role!r} cannot be served: {error}") from None
