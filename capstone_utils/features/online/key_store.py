"""Windows over a key other than the user, such as the merchant."""

from __future__ import annotations

from typing import Any

from capstone_utils.features.online.layout import texts_getter
from capstone_utils.features.online.window_state import WindowState
from capstone_utils.features.plan import KeyPlan
from capstone_utils.transaction import Transaction


class KeyStore:
    """Window states by the key's value.

    They stay objects: there are few merchants, and each is seen often.
    """

    def __init__(self, plan: KeyPlan) -> None:
        self.plan = plan
        self.states: dict[Any, WindowState] = {}
        self._key = Transaction._fields.index(plan.key)
        self._texts = texts_getter(plan.columns)
        self._empty = WindowState(len(plan.columns))

    def look(self, transaction: Transaction) -> list[float]:
        """The values of the plan's ranges, as if the transaction had been added; changes nothing."""
        state = self.states.get(transaction[self._key], self._empty)
        return state.look(self.plan, transaction.event_time_us, transaction.amount_cents, self._texts(transaction))

    def add(self, transaction: Transaction) -> None:
        """Add the transaction, unless too late by its key's own clock."""
        state = self.states.get(transaction[self._key])
        if state is None:
            state = self.states[transaction[self._key]] = WindowState(len(self.plan.columns))
        if transaction.event_time_us >= state.latest_us - self.plan.lateness_us:
            number, time, cents = transaction.transaction_id, transaction.event_time_us, transaction.amount_cents
            state.add(self.plan, number, time, cents, self._texts(transaction))

    def mark_fraud(self, transaction: Transaction) -> None:
        """Mark the transaction as reported fraud."""
        state = self.states.get(transaction[self._key])
        if state is not None:
            state.mark_fraud(transaction.transaction_id, transaction.event_time_us)

    def to_list(self) -> list[Any]:
        """All states as plain values for JSON: pairs of key and content."""
        return [[key, state.to_list()] for key, state in self.states.items()]

    def fill(self, kept: list[Any]) -> None:
        """Restore the states that `to_list` gave."""
        for key, content in kept:
            state = self.states[key] = WindowState(len(self.plan.columns))
            state.fill(content)
