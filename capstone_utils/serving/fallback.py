"""What decides with the model where it cannot be trusted alone: it wavers, or the payment is unlike all it has seen."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capstone_utils.serving.detective import Detective
from capstone_utils.serving.splits import Split
from capstone_utils.serving.surprise import Surprise, fit_surprise

WEIGHT = 0.3  # log-odds of fraud for a unit of surprise
ALERT_SHARE = 2e-4  # of the payments: what the fallback may add to the alerts in ordinary weeks
SUREST = 14.0  # log-odds: a model that is surer than one in a million is not believed to be


class InvalidFallback(ValueError):
    """A file that holds no fallback; says what is wrong with it."""


@dataclass(frozen=True)
class Fallback:
    """A payment is fraud, too, when the model's log-odds and `weight` times its surprise reach `bound` together.

    The less sure the model is of a payment's innocence, the less surprise it takes; where it is quite sure, only
    features far outside what it was trained on will do.
    """

    surprise: Surprise
    weight: float
    bound: float

    def suspicion(self, rows: np.ndarray, margins: np.ndarray) -> np.ndarray:
        """What is held against `bound`, shape (rows,), for features (rows, features) and the model's log-odds."""
        return np.clip(margins.astype(float), -SUREST, SUREST) + self.weight * self.surprise.score(rows)

    def decide(self, rows: np.ndarray, margins: np.ndarray) -> np.ndarray:
        """Which rows are fraud, whatever the model's threshold says of them."""
        return self.suspicion(rows, margins) >= self.bound

    def save(self, path: Path) -> None:
        """Write it as JSON: numbers only, nothing that could run."""
        kept = {"weight": self.weight, "bound": self.bound, "surprise": self.surprise.to_dict()}
        path.write_text(json.dumps(kept) + "\n", encoding="utf-8")


def load_fallback(path: Path) -> Fallback:
    """The fallback of a file that `save` wrote.

    Raises:
        InvalidFallback: when it is anything else.
    """
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Fallback(Surprise.from_dict(kept["surprise"]), float(kept["weight"]), float(kept["bound"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidFallback(f"{path} holds no fallback ({error!r})") from None


def fit_fallback(
    split: Split, detective: Detective, weight: float = WEIGHT, alert_share: float = ALERT_SHARE
) -> Fallback:
    """A fallback for a detective that was trained on the training weeks only.

    The surprise is learnt from the training weeks' payments that nobody reported. The bound is chosen on the payments
    after them, whose labels are known too: there, the fallback would have added `alert_share` of them to the alerts.
    """
    names = list(detective.features)
    honest = split.train["is_fraud"].to_numpy() == 0
    surprise = fit_surprise(names, split.train[names].to_numpy(float)[honest])
    rows = split.after_training[names].to_numpy(float)
    margins = detective.booster.inplace_predict(rows, predict_type="margin")
    threshold = np.log(detective.threshold / (1 - detective.threshold))
    suspicion = Fallback(surprise, weight, np.inf).suspicion(rows, margins)[margins < threshold]
    allowed = max(round(alert_share * len(rows)), 1)
    return Fallback(surprise, weight, float(np.sort(suspicion)[-allowed:][0]))
