"""The last digit of the cents: a thief has no reason to care, and neither has anybody else."""

import pandas as pd

from capstone_utils.transaction import Transaction

NAME = "last_digit"


class Online:
    """No state at all."""

    def update(self, payment: Transaction) -> float:
        """The last digit of the amount."""
        return float(payment.amount_cents % 10)


def offline(payments: pd.DataFrame) -> pd.Series:
    """The same."""
    return payments["amount_cents"] % 10
