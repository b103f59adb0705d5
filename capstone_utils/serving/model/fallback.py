"""What decides with the model where it cannot be trusted alone: it wavers, or the payment is unlike all it has seen."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capstone_utils.arrays import Booleans, Floats
from capstone_utils.serving.model.anomaly import AnomalyDetector

MAX_LOG_ODDS = 14.0  # log-odds: a model that is surer than one in a million is not believed to be


class InvalidFallback(ValueError):
    """A file that holds no fallback; says what is wrong with it."""


@dataclass(frozen=True)
class Fallback:
    """A payment is fraud, too, when the model's log-odds and `weight` times its anomaly reach `bound` together.

    The less sure the model is of a payment's innocence, the less anomaly it takes; where it is quite sure, only
    features far outside what it was trained on will do.
    """

    anomaly: AnomalyDetector
    weight: float
    bound: float

    def combined_score(self, rows: Floats, margins: Floats) -> Floats:
        """What is held against `bound`, shape (rows,), for features (rows, features) and the model's log-odds."""
        bounded: Floats = np.clip(margins.astype(float), -MAX_LOG_ODDS, MAX_LOG_ODDS)
        return bounded + self.weight * self.anomaly.score(rows)

    def decide(self, rows: Floats, margins: Floats) -> Booleans:
        """Which rows are fraud, whatever the model's threshold says of them."""
        return self.combined_score(rows, margins) >= self.bound

    def save(self, path: Path) -> None:
        """Write it as JSON: numbers only, nothing that could run."""
        kept = {"weight": self.weight, "bound": self.bound, "anomaly": self.anomaly.to_dict()}
        path.write_text(json.dumps(kept) + "\n", encoding="utf-8")


def load_fallback(path: Path) -> Fallback:
    """The fallback of a file that `save` wrote.

    Raises:
        InvalidFallback: when it is anything else.
    """
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Fallback(AnomalyDetector.from_dict(kept["anomaly"]), float(kept["weight"]), float(kept["bound"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidFallback(f"{path} holds no fallback ({error!r})") from None
