"""A thief at work, on purpose: payments that the notebooks send to see the service answer and the alarm ring."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from capstone_utils.transaction import Transaction

FIRST_ID = 900_000_000_000  # far above the stream's own ids


def card_testing(enriched: pd.DataFrame, seed: int, size: int) -> Iterator[Transaction]:
    """`size` small payments, seconds apart, from one unknown device on one customer's card, after the stream's end."""
    generator = np.random.default_rng([seed, size])
    victim = int(generator.choice(enriched["user_id"].unique()))
    place = enriched.loc[enriched["user_id"] == victim, "location"].iloc[-1]
    merchants = generator.choice(enriched["merchant"].unique(), size)
    device = f"mobile-{generator.integers(16**4):04x}"
    time_us = round((enriched["timestamp"].iloc[-1] + 3600.0) * 1_000_000)
    for number in range(size):
        time_us += int(generator.integers(8, 45)) * 1_000_000
        cents = int(generator.integers(50, 600))
        yield Transaction(
            FIRST_ID + seed * 1_000_000 + number, victim, cents, time_us, place, str(merchants[number]), device
        )
