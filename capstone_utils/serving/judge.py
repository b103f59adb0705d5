"""What the models say of features that are made: stateless, so that every door to the house shares one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from capstone_utils.serving.store import Models


class Ruling(NamedTuple):
    """How probable fraud is, and whether the payment is called fraud."""

    probability: float
    fraud: bool


class Judge:
    """The models of one directory, asked for rulings; the same features get the same ruling, alone or among others."""

    def __init__(self, models: Models) -> None:
        self.models = models

    def rule(self, rows: Sequence[Sequence[float]]) -> list[Ruling]:
        """A ruling on each row of the full set's features, in the spec's order."""
        if not rows:
            return []
        threshold = self.models.score.threshold
        probabilities = self.models.score.booster.inplace_predict(np.array(rows)).tolist()
        return [Ruling(probability, probability >= threshold) for probability in probabilities]

    def rule_brief(self, features: Sequence[float]) -> Ruling:
        """The ruling on the brief's five features, in the brief's order."""
        model = self.models.predict
        probability = float(model.booster.inplace_predict(np.array([features], dtype=float))[0])
        return Ruling(probability, probability >= model.threshold)
