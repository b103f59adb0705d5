"""The costs of alerts, which evaluation and gate weigh against the fraud that was stopped."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Costs:
    """The costs of an alert, in the currency of the amounts.

    They are assumptions, to be replaced by a bank's own.
    """

    review: float = 5.0  # somebody looks at the alert
    insult: float = 10.0  # an honest user was refused: calls, lost sales, users who leave


COSTS = Costs()
