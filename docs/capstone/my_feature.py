"""The age of a device: how long has this customer paid with it?

Hypothesis. Whoever has stolen a card's number, or an account, comes with a device of their own. is_new_device says so
once: at the second payment the device is known, as with the phone that tested the card of customer 268 thirteen times.
Its age is seconds at the first test, and minutes at the last. A customer's own phone is weeks old.

Why a thief cannot avoid it. He cannot make his device older than his theft. He could wait for weeks after one small
payment, but cards are reported and blocked meanwhile, and each day that he waits costs him money.

Number to beat. Recall of card_testing and account_takeover by the brief's five features alone, in the same weeks.

What it costs. One time for each device of a customer. Honest people buy new phones, and are suspected for some days:
the model has to weigh that with amounts and shops. Cards at the till have no device of the thief's: cloned cards pass.
What would refute it: thieves who steal phones, too.
"""

import pandas as pd

from capstone_utils.transaction import Transaction

NAME = "device_age_hours"
HOUR_US = 3_600_000_000
# A customer's devices are weeks old, in the mean. When the state is lost, every device is new.
WATCH = "rate(project_feature_sum[5s]) / rate(project_feature_count[5s]) < 24"


class Online:
    """The feature online: when each device of each customer was first used.

    >>> online = Online()
    >>> hours = [0, 5, 30, 2, 31]  # the fourth one arrives late
    >>> [online.update(Transaction(n, 268, 97, h * HOUR_US, "LA", "Cafe", "mobile")) for n, h in enumerate(hours)]
    [0.0, 5.0, 30.0, 2.0, 31.0]
    """

    def __init__(self) -> None:
        self.first: dict[tuple[int, str], int] = {}

    def update(self, payment: Transaction) -> float:
        """Hours since the device's first payment for this customer; 0 for the first."""
        device, now = (payment.user_id, payment.device), payment.event_time_us
        first = self.first[device] = min(self.first.get(device, now), now)
        return (now - first) / HOUR_US


def offline(payments: pd.DataFrame) -> pd.Series:
    """The same from a whole table: the earliest time among the payments that have arrived."""
    now = payments["event_time_us"]
    first = now.groupby([payments["user_id"], payments["device"]]).cummin()
    return (now - first) / HOUR_US
