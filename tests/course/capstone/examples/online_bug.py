"""Payments of the customer within ten minutes; online, the window is closed on the left too."""

from collections import defaultdict, deque

import pandas as pd

from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.spec import FeatureSpec, Window
from capstone_utils.transaction import SECOND_US, Transaction

NAME = "count_10m"
SPEC = FeatureSpec((Window(NAME, "count", "amount_cents", 600),))


class Online:
    """It forgets what is older than ten minutes by the clock of the last arrival, so a late payment sees too little."""

    def __init__(self) -> None:
        self.times: defaultdict[int, deque[int]] = defaultdict(deque)

    def update(self, payment: Transaction) -> float:
        """The customer's payments in the last ten minutes."""
        times = self.times[payment.user_id]
        times.append(payment.event_time_us)
        while times[0] <= payment.event_time_us - 600 * SECOND_US:
            times.popleft()
        return float(len(times))


def offline(payments: pd.DataFrame) -> pd.Series:
    """The same, as the spec has it."""
    return offline_features(payments, SPEC)[NAME]
