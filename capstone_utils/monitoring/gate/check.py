"""One check of the gate: a value beside its limits, and the words that explain it."""

from __future__ import annotations

import math
from typing import NamedTuple

from capstone_utils.ingestion.arrays import Booleans

PROMISED = ("recall", "precision")  # kept in a promoted model's manifest, and watched
ABOVE_ZERO = math.nextafter(0.0, 1.0)


class Check(NamedTuple):
    """A value that has to lie between two limits, both included; one that is no number fails."""

    name: str
    value: float
    words: str
    least: float = -math.inf
    most: float = math.inf

    @property
    def passed(self) -> bool:
        """True when the value lies within the limits."""
        return self.least <= self.value <= self.most

    @property
    def limits(self) -> str:
        """The limits in words, as in "at least 0.85, at most 1.5"."""
        if self.least == ABOVE_ZERO:
            return "above 0"
        bounds = [(self.least, "at least"), (self.most, "at most")]
        return ", ".join(f"{words} {bound:g}" for bound, words in bounds if math.isfinite(bound))


def share(part: Booleans, whole: Booleans) -> float:
    """The share of `whole` that is in `part` too; 0 of nothing."""
    return float((part & whole).sum() / max(int(whole.sum()), 1))
