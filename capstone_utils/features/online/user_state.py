"""The state of one user: transactions of the retention, and older habits."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise, starmap
from typing import Any

from capstone_utils.features.online.window_state import WindowState
from capstone_utils.features.plan import KeyPlan
from capstone_utils.ingestion.places import distance_km
from capstone_utils.transaction import SECOND_US, Transaction


class UserState(WindowState):
    """One user's transactions and habits: known values, mean amount, last location."""

    __slots__ = ("known", "last_location", "time_of", "total_cents", "total_count")

    def __init__(self, window_columns: int, known_columns: int) -> None:
        super().__init__(window_columns)
        self.time_of: dict[int, int] = {}  # transaction id -> event time
        self.known: tuple[dict[str, None], ...] = tuple({} for _ in range(known_columns))  # the longest known first
        self.last_location = ""
        self.total_count = 0
        self.total_cents = 0

    def holds(self, plan: KeyPlan, number: int) -> bool:
        """True when the transaction was seen within the retention."""
        before = self.time_of.get(number)
        return before is not None and before > self.latest_us - plan.retention_us

    def first(self, plan: KeyPlan, transaction: Transaction) -> Transaction | None:
        """The transaction of this id that was seen within the retention; None if none was."""
        number = transaction.transaction_id
        if not self.holds(plan, number):
            return None
        time = self.time_of[number]
        place = self.ids.index(number, bisect_left(self.times, time))
        cents = self.prefix_cents[place + 1] - self.prefix_cents[place]
        kept: dict[str, Any] = {column: texts[place] for column, texts in self._fields(plan.columns).items()}
        return transaction._replace(amount_cents=cents, event_time_us=time, **kept)

    def history(self, transaction: Transaction) -> list[float]:
        """The values of HISTORY for this transaction, NaN if there is none."""
        seconds = speed = ratio = math.nan
        if self.total_count:
            seconds = (transaction.event_time_us - self.latest_us) / SECOND_US
            distance = distance_km(self.last_location, transaction.location)
            if distance is not None:
                speed = distance / max(abs(seconds), 1.0) * 3600.0
            if self.total_cents > 0:
                ratio = transaction.amount_cents / (self.total_cents / self.total_count)
        return [seconds, speed, ratio]

    def first_seen(self, values: Sequence[str]) -> list[float]:
        """1.0 for each known column whose value is not known, else 0.0."""
        return [0.0 if value in self.known[column] else 1.0 for column, value in enumerate(values)]

    def take(
        self, plan: KeyPlan, transaction: Transaction, texts: Sequence[str], values: Sequence[str], max_values: int
    ) -> None:
        """Remember the transaction.

        `texts` are for the windows. `values` stand by known column, and at most `max_values` of each are remembered.
        """
        number, time, cents = transaction.transaction_id, transaction.event_time_us, transaction.amount_cents
        if time >= self.latest_us:
            self.last_location = transaction.location
        self.total_count += 1
        self.total_cents += cents
        for column, value in enumerate(values):
            known = self.known[column]
            if value not in known:
                known[value] = None
                if len(known) > max_values:
                    del known[next(iter(known))]
        self.time_of[number] = time
        self.add(plan, number, time, cents, texts)

    def settle(self) -> None:
        """Compute again what follows from the kept transactions."""
        super().settle()
        self.time_of = dict(zip(self.ids, self.times, strict=True))

    def retained(self, user_id: int, columns: Sequence[str]) -> list[Transaction]:
        """The kept transactions in event-time order; text fields other than the windows' `columns` are empty."""
        texts = {"location": [""] * len(self.ids), "merchant": [""] * len(self.ids), "device": [""] * len(self.ids)}
        texts["location"][-1:] = [self.last_location] * min(1, len(self.ids))
        texts |= self._fields(columns)
        cents = [after - before for before, after in pairwise(self.prefix_cents)]
        users = [user_id] * len(self.ids)
        return list(starmap(Transaction, zip(self.ids, users, cents, self.times, *texts.values(), strict=True)))

    def _fields(self, columns: Sequence[str]) -> dict[str, list[str]]:
        """The kept texts of those columns that are a transaction's own fields."""
        return {
            column: texts for column, texts in zip(columns, self.texts, strict=True) if column in Transaction._fields
        }

    def to_list(self) -> list[Any]:
        """The state as plain values for JSON."""
        habits = [[list(known) for known in self.known], self.last_location, self.total_count, self.total_cents]
        return [*super().to_list(), *habits]

    def fill(self, kept: list[Any]) -> None:
        """Restore the state that `to_list` gave."""
        *window, known, self.last_location, self.total_count, self.total_cents = kept
        super().fill(window)
        self.known = tuple(dict.fromkeys(values) for values in known)
