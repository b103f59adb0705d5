"""Transactions as columns of numbers, before they become a frame."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from capstone_utils.ingestion.arrays import Array, Booleans, Floats, Integers
from capstone_utils.transaction import DAY_SECONDS, SECOND_US

SCENARIOS = ("legitimate", "card_testing", "account_takeover", "cloned_card", "compromised_merchant", "cash_out")
HARD_NEGATIVES = ("none", "travel", "new_phone", "gift_season", "shared_card", "small_payments")


@dataclass
class Rows:
    """Transactions as columns of equal length."""

    customer: Integers  # position among the customers
    second: Floats  # since the stream's start, float
    dollars: Floats  # float
    city: Integers  # position in PLACES
    merchant: Integers  # position in Merchants
    device: Integers  # device number
    scenario: Integers  # position in SCENARIOS
    hard_negative: Integers  # position in HARD_NEGATIVES

    def __len__(self) -> int:
        return len(self.customer)

    def where(self, chosen: Booleans | Integers) -> Rows:
        """The rows that a mask or positions choose."""
        return Rows(*(getattr(self, field.name)[chosen] for field in fields(self)))


def concatenate(blocks: list[Rows]) -> Rows:
    """One block after the other."""
    return Rows(*(np.concatenate([getattr(block, field.name) for block in blocks]) for field in fields(Rows)))


def until(rows: Rows, days: int) -> Rows:
    """The rows inside the stream's days."""
    return rows.where((rows.second >= 0) & (rows.second < days * DAY_SECONDS))


def to_cents(dollars: Array, generator: np.random.Generator) -> Array:
    """Whole cents of at least 50, with the usual endings of prices.

    They are drawn alike for every transaction.
    """
    endings = np.array([99, 0, 95, 50, 49])
    drawn = generator.random(len(dollars))
    ending = endings[np.searchsorted([0.2, 0.32, 0.4, 0.46], np.minimum(drawn, 0.499), side="right")]
    cents = np.where(drawn < 0.5, np.floor(dollars) * 100 + ending, np.floor(dollars * 100))
    return np.maximum(cents, 50).astype(np.int64)


def to_microseconds(second: Array, start_us: int, generator: np.random.Generator) -> Array:
    """Event times in microseconds since 1970 UTC.

    The part below a second is drawn alike for every transaction.
    """
    return start_us + np.floor(second).astype(np.int64) * SECOND_US + generator.integers(0, SECOND_US, len(second))
