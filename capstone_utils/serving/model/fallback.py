"""The anomaly fallback: fraud when the model is unsure, or when a transaction looks unlike the training data."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from capstone_utils.errors import CapstoneError
from capstone_utils.ingestion.arrays import Array, Floats
from capstone_utils.serving.model.anomaly import AnomalyDetector

MAX_LOG_ODDS = 14.0  # a model that is surer than about one in a million is not believed


class InvalidFallback(CapstoneError):
    """A text that holds no fallback; the message says what is wrong with it."""


@dataclass(frozen=True)
class Fallback:
    """A rule beside the model's threshold, on log-odds and anomaly together.

    A transaction is fraud, too, when its log-odds plus `weight` times its anomaly score reach `bound`.

    The less sure the model is that a transaction is honest, the less anomaly it takes. Where the model is quite sure,
    it takes features far outside the training data.
    """

    anomaly: AnomalyDetector
    weight: float
    bound: float

    def combined_score(self, rows: Floats, margins: Floats) -> Floats:
        """Log-odds plus weighted anomaly, shape (rows,), for features (rows, features) and the model's log-odds."""
        log_odds: Floats = np.clip(margins.astype(float), -MAX_LOG_ODDS, MAX_LOG_ODDS)
        return log_odds + self.weight * self.anomaly.score(rows)

    def decide(self, rows: Array, margins: Array) -> Array:
        """A mask of the fraudulent rows, whatever the model's threshold says."""
        return self.combined_score(rows, margins) >= self.bound

    def to_json(self) -> str:
        """JSON from which `parse_fallback` makes the same object: numbers only, no code."""
        kept = {"weight": self.weight, "bound": self.bound, "anomaly": self.anomaly.to_dict()}
        return json.dumps(kept) + "\n"


def parse_fallback(text: str | bytes) -> Fallback:
    """The fallback that `to_json` wrote.

    Raises:
        InvalidFallback: when it is anything else.
    """
    try:
        kept = json.loads(text)
        return Fallback(AnomalyDetector.from_dict(kept["anomaly"]), float(kept["weight"]), float(kept["bound"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidFallback(f"it holds no fallback ({error!r})") from None
