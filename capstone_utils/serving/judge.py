"""What the models say of features that are made: stateless, so that every door to the house shares one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from capstone_utils.serving.reasons import Reason, reasons, surprises
from capstone_utils.serving.store import Models


class Ruling(NamedTuple):
    """The model's probability of fraud, whether the payment is called fraud, and whether only the fallback says so."""

    probability: float
    fraud: bool
    by_fallback: bool = False


class Judge:
    """The models of one directory, asked for rulings; the same features get the same ruling, alone or among others."""

    def __init__(self, models: Models) -> None:
        self.models = models

    def rule(self, rows: Sequence[Sequence[float]] | np.ndarray) -> list[Ruling]:
        """A ruling on each row of the full set's features, in the spec's order."""
        if len(rows) == 0:
            return []
        features, model, fallback = np.array(rows), self.models.score, self.models.fallback
        margins = model.booster.inplace_predict(features, predict_type="margin")
        probabilities = 1 / (1 + np.exp(-margins.astype(float)))
        alerts = probabilities >= model.threshold
        added = np.zeros(len(rows), dtype=bool)
        if fallback:
            added = ~alerts & fallback.decide(features, margins)
        return list(map(Ruling, probabilities.tolist(), (alerts | added).tolist(), added.tolist()))

    def explain(self, features: Sequence[float], ruling: Ruling, most: int = 3) -> list[Reason]:
        """What spoke loudest for fraud: to the model, or to the fallback where only that called it fraud."""
        if ruling.by_fallback and self.models.fallback:
            return surprises(self.models.fallback.surprise.parts(features), features, most)
        return reasons(self.models.score.booster, features, most)

    def rule_brief(self, features: Sequence[float]) -> Ruling:
        """The ruling on the brief's five features, in the brief's order."""
        model = self.models.predict
        probability = float(model.booster.inplace_predict(np.array([features], dtype=float))[0])
        return Ruling(probability, probability >= model.threshold)
