"""Attacks on purpose: fraud that makes the service respond and alerts fire."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from capstone_utils.ingestion.places import PLACES
from capstone_utils.ingestion.simulation.fraud.scenarios import TESTING_GAP_SECONDS, card_testing_dollars
from capstone_utils.ingestion.simulation.merchants import SITES
from capstone_utils.serving.score import Score
from capstone_utils.serving.service.state.scorer import Scorer
from capstone_utils.transaction import SECOND_US, Transaction

FIRST_ID = 900_000_000_000  # far above the stream's own ids


def card_testing(enriched: pd.DataFrame, seed: int, size: int, start_us: int | None = None) -> Iterator[Transaction]:
    """`size` small transactions of card testing, as the data card describes it.

    They begin at `start_us`, or an hour after the end of `enriched`. They are of one user's card and one unknown
    device, seconds apart, each at another merchant on the internet, from any city.
    """
    generator = np.random.default_rng([seed, size])
    victim = int(generator.choice(enriched["user_id"].unique()))
    online = sorted(name for name in enriched["merchant"].unique() if name.partition(" ")[2] in SITES)
    merchants = generator.choice(online, size, replace=False)
    place, device = str(generator.choice(list(PLACES))), f"mobile-{generator.integers(16**4):04x}"
    time_us = round((enriched["timestamp"].iloc[-1] + 3600.0) * 1_000_000) if start_us is None else start_us
    for number in range(size):
        time_us += round(generator.uniform(*TESTING_GAP_SECONDS) * SECOND_US)
        cents = round(100 * card_testing_dollars(1, generator)[0])
        yield Transaction(
            FIRST_ID + seed * 1_000_000 + number, victim, cents, time_us, place, str(merchants[number]), device
        )


def fraud_wave(enriched: pd.DataFrame, clock_us: Callable[[], int], size: int = 10) -> Iterator[Transaction]:
    """Endless card testing, on one user after the other; each burst begins at the time of `clock_us`.

    Its ids begin there, too: an attack that is made again at another time has ids of its own.
    """
    for seed in itertools.count():
        start_us = clock_us()
        for number, transaction in enumerate(card_testing(enriched, seed, size, start_us)):
            yield transaction._replace(transaction_id=start_us + number)


class SlowScorer:
    """A scorer that takes `delay_seconds` longer, always or while one version of the model decides.

    All else is asked of the scorer itself, whose model may change.
    """

    def __init__(self, scorer: Scorer, delay_seconds: float, version: str | None = None) -> None:
        self._scorer, self._delay_seconds, self._version = scorer, delay_seconds, version

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scorer, name)

    def score_many(self, transactions: Sequence[Transaction]) -> list[Score | None]:
        """The scores, after the delay."""
        if self._version in (None, self._scorer.classifier.version):
            time.sleep(self._delay_seconds)
        return self._scorer.score_many(transactions)
