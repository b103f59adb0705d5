"""Card precision at k: the abused share of each day's first k cards.

Investigators check k cards a day.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from capstone_utils.ingestion.arrays import Array, Booleans, Floats, Integers

CAPACITY = 100  # cards that investigators can check in a day


class CardPrecision(NamedTuple):
    """Card precision at k, the mean of the days.

    Its ceiling is the value of a perfect ranking of the same cards.
    """

    value: float
    ceiling: float


def card_precision(day: Integers, card: Integers, fraud: Booleans, scores: Floats, k: int = CAPACITY) -> CardPrecision:
    """Card precision at k for n transactions, each argument of shape (n,).

    A card's score is the highest of its day. A card that was found to be abused is blocked: it does not count on later
    days. Source: Y.-A. Le Borgne, W. Siblini, B. Lebichot, G. Bontempi: Reproducible Machine Learning for Credit Card
    Fraud Detection, 2022, chapter 4 (Precision top-k metrics).

    Raises:
        ValueError: when k is not at least 1, or there is no transaction.
    """
    if k < 1 or not len(scores):
        raise ValueError(f"k={k} and {len(scores)} transactions: at least 1 card a day and 1 transaction are needed")
    frame = pd.DataFrame({"day": day, "card": card, "fraud": np.asarray(fraud, dtype=bool), "score": scores})
    cards = frame.groupby(["day", "card"], as_index=False).agg(fraud=("fraud", "max"), score=("score", "max"))
    value = _daily_mean(cards, cards["score"].to_numpy(), k)
    return CardPrecision(value, _daily_mean(cards, cards["fraud"].to_numpy(float), k))


def _daily_mean(cards: pd.DataFrame, scores: Array, k: int) -> float:
    """The mean abused share of each day's first k cards by `scores`.

    Cards that are blocked are left out.
    """
    blocked: set[object] = set()
    shares = []
    for _, today in cards.assign(score=scores).groupby("day"):
        first = today[~today["card"].isin(blocked)].sort_values("score", ascending=False, kind="stable").head(k)
        abused = first.loc[first["fraud"], "card"]
        shares.append(len(abused) / k)
        blocked.update(abused)
    return float(np.mean(shares))
