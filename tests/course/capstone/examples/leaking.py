"""How this payment stands beside the customer's mean: a mean over all of their payments, also those to come."""

import pandas as pd

from capstone_utils.transaction import Transaction

NAME = "beside_own_mean"


class Online:
    """A mean of what came before, for the mean of all is not to be had."""

    def __init__(self) -> None:
        self.sums: dict[int, tuple[int, int]] = {}

    def update(self, payment: Transaction) -> float:
        """Cents beside the mean so far."""
        total, count = self.sums.get(payment.user_id, (0, 0))
        total, count = total + payment.amount_cents, count + 1
        self.sums[payment.user_id] = total, count
        return payment.amount_cents / (total / count)


def offline(payments: pd.DataFrame) -> pd.Series:
    """Cents beside the customer's mean."""
    return payments["amount_cents"] / payments.groupby("user_id")["amount_cents"].transform("mean")
