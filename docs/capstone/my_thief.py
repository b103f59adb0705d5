"""Slow gift cards, and the feature against them: how much of a customer's day goes to one shop.

Hypothesis. A thief sits in the victim's own phone. He buys gift cards, four to eight in a day, hours apart, always at
the same shop, for amounts that anybody might spend. No new device, no distance, no burst within five minutes or within
an hour: most of the 24 features see an ordinary day.

Why he cannot avoid it. Gift cards are money only where somebody buys them from him, and the buyer wants one brand. If
he spreads over many shops, he becomes the case that unique_merchants_24h sees.

Number to beat. Recall of my_thief by a model that has his labels, but not this feature.

What it costs. Times of a customer's payments by shop, for one day. People with a canteen or a daily coffee have high
counts too; their amounts and shops differ, and the model has to weigh it.
"""

from bisect import bisect_right, insort
from collections import defaultdict

import numpy as np
import pandas as pd

from capstone_utils.course.capstone.thief import Thief
from capstone_utils.transaction import DAY_US, Transaction

NAME = "same_shop_24h"
WATCH = "rate(project_feature_sum[5s]) / rate(project_feature_count[5s]) < 1.01"
THIEF = Thief(
    payments=(4, 8),
    gap_seconds=(2_000, 10_000),
    dollars=(20, 60),
    shops="Gift Cards",
    one_shop=True,
    device="own",
    cases=0.5,
)


class Online:
    """The feature online: the times of each customer's payments at each shop.

    >>> online = Online()
    >>> hours = [0, 2, 25, 1]  # the last one arrives late, and sees its own day
    >>> [online.update(Transaction(n, 7, 500, h * DAY_US // 24, "NY", "Cafe", "card")) for n, h in enumerate(hours)]
    [1.0, 2.0, 2.0, 2.0]
    """

    def __init__(self) -> None:
        self.times: defaultdict[tuple[int, str], list[int]] = defaultdict(list)

    def update(self, payment: Transaction) -> float:
        """The customer's payments at this shop in the 24 hours up to this one."""
        times, now = self.times[payment.user_id, payment.merchant], payment.event_time_us
        insort(times, now)
        return float(bisect_right(times, now) - bisect_right(times, now - DAY_US))


def offline(payments: pd.DataFrame) -> np.ndarray:
    """The same from a whole table: of the payments that have arrived, those with event time in (t - 24 h, t]."""
    times = payments["event_time_us"]
    counts = np.empty(len(payments))
    for rows in payments.groupby(["user_id", "merchant"]).indices.values():
        own = times.to_numpy()[rows]
        within = (own[None, :] <= own[:, None]) & (own[None, :] > own[:, None] - DAY_US)
        counts[rows] = np.tril(within).sum(axis=1)
    return counts
