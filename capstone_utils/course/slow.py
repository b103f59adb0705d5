"""A model that has become slow, to see the alarm ring."""

from __future__ import annotations

import time
from collections.abc import Sequence

from capstone_utils.serving.scorer import Decision, Scorer
from capstone_utils.transaction import Transaction


class SlowScorer(Scorer):
    """Another scorer's models and state, answering `delay_seconds` later."""

    def __init__(self, scorer: Scorer, delay_seconds: float) -> None:
        self.__dict__.update(scorer.__dict__)
        self.delay_seconds = delay_seconds

    def score_many(self, transactions: Sequence[Transaction]) -> list[Decision | None]:
        """The decisions, late."""
        time.sleep(self.delay_seconds)
        return super().score_many(transactions)
