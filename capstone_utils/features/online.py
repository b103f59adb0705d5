"""Features as the stream goes by: a small state per user, one `update` a transaction, in the order of arrival."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping

from capstone_utils.features.daily import DailyTable
from capstone_utils.features.spec import SECOND_US, SPEC, Daily, FeatureSpec, State, Window
from capstone_utils.ingestion.places import distance_km
from capstone_utils.transaction import Transaction

NEVER = -(2**62)  # an event time before any other
TRIM_AT = 64  # expired transactions are dropped this many at a time, which keeps dropping cheap


class UserState:
    """What is remembered of one user: the transactions of the retention in event-time order, and lasting habits."""

    __slots__ = ("columns", "counters", "ids", "last_location", "latest_us", "prefix_cents", "seen", "starts", "times")
    __slots__ += ("total_cents", "total_count")

    def __init__(self, spec: FeatureSpec) -> None:
        self.times: list[int] = []
        self.prefix_cents = [0]  # prefix_cents[i] is the sum of the first i amounts
        self.columns: tuple[list[str], ...] = tuple([] for _ in spec.distinct_columns)
        self.ids: dict[int, int] = {}  # transaction id -> event time
        self.starts = [0] * len(spec.windows)  # first transaction inside each window that ends at the latest one
        self.counters: list[tuple[dict[str, int], ...]] = [
            tuple({} for _ in spec.distinct_columns) for _ in spec.windows
        ]
        self.latest_us = NEVER
        self.last_location = ""
        self.seen: dict[str, set[str]] = {"device": set(), "merchant": set(), "location": set()}
        self.total_count = 0
        self.total_cents = 0


class OnlineFeatures:
    """The features of each transaction, from the transactions that arrived before it and itself.

    >>> def pay(number, seconds, amount, place):
    ...     return Transaction(number, 7, amount * 100, (1767225600 + seconds) * 1_000_000, place, "Amazon", "mobile")
    >>> from capstone_utils.features.spec import BRIEF
    >>> online = OnlineFeatures(BRIEF)
    >>> online.update(pay(1, 0, 10, "NY"))  # amount, average, count, locations, devices
    (10.0, 10.0, 1.0, 1.0, 1.0)
    >>> online.update(pay(2, 200, 20, "LA"))
    (20.0, 15.0, 2.0, 2.0, 1.0)
    >>> online.update(pay(3, 300, 30, "LA"))  # the first one is exactly 300 s old: outside (t - 300, t]
    (30.0, 25.0, 2.0, 1.0, 1.0)
    >>> online.update(pay(4, 100, 40, "SF"))  # late: sees what falls in its own window, changes no earlier answer
    (40.0, 25.0, 2.0, 2.0, 1.0)
    >>> online.update(pay(4, 100, 40, "SF")) is None  # a duplicate: no answer, no change
    True
    """

    def __init__(self, spec: FeatureSpec = SPEC, daily: Mapping[str, DailyTable] | None = None) -> None:
        self.spec = spec
        self.daily = dict(daily or {})
        self.users: dict[int, UserState] = {}
        self.late = self.too_late = self.duplicates = 0
        self._windows_us = [seconds * SECOND_US for seconds in spec.windows]
        self._lateness_us = spec.allowed_lateness_seconds * SECOND_US

    def update(self, transaction: Transaction) -> tuple[float, ...] | None:
        """The features in the spec's order, missing ones as NaN; None when this transaction was already seen.

        A transaction later than the allowed lateness gets no window features (NaN) and changes no state.
        """
        user = self.users.get(transaction.user_id)
        if user is None:
            user = self.users[transaction.user_id] = UserState(self.spec)
        time = transaction.event_time_us
        before = user.ids.get(transaction.transaction_id)
        if before is not None and before > user.latest_us - self.spec.retention_us:
            self.duplicates += 1
            return None
        state = self._state_values(user, transaction)
        if time >= user.latest_us:
            windows = self._append(user, transaction)
        elif time >= user.latest_us - self._lateness_us:
            self.late += 1
            windows = self._insert(user, transaction)
        else:
            self.too_late += 1
            return self._in_order(transaction, None, state)
        features = self._in_order(transaction, windows, state)
        self._remember(user, transaction)
        return features

    def _append(self, user: UserState, transaction: Transaction) -> list[tuple[int, int, list[int]]]:
        """Count, sum of cents and distinct values for each window, after adding the latest transaction."""
        time = transaction.event_time_us
        times, prefix = user.times, user.prefix_cents
        times.append(time)
        prefix.append(prefix[-1] + transaction.amount_cents)
        values = [getattr(transaction, column) for column in self.spec.distinct_columns]
        for column, value in zip(user.columns, values, strict=True):
            column.append(value)
        found = []
        for index, width in enumerate(self._windows_us):
            counters, start = user.counters[index], user.starts[index]
            for counter, value in zip(counters, values, strict=True):
                counter[value] = counter.get(value, 0) + 1
            while times[start] <= time - width:
                for counter, column in zip(counters, user.columns, strict=True):
                    _discard(counter, column[start])
                start += 1
            user.starts[index] = start
            found.append((len(times) - start, prefix[-1] - prefix[start], [len(counter) for counter in counters]))
        return found

    def _insert(self, user: UserState, transaction: Transaction) -> list[tuple[int, int, list[int]]]:
        """The same for a late transaction: put in its place in time, seen only by windows that are still to come."""
        time, cents = transaction.event_time_us, transaction.amount_cents
        place = bisect_right(user.times, time)
        user.times.insert(place, time)
        user.prefix_cents.insert(place + 1, user.prefix_cents[place])
        for later in range(place + 1, len(user.prefix_cents)):
            user.prefix_cents[later] += cents
        for column, name in zip(user.columns, self.spec.distinct_columns, strict=True):
            column.insert(place, getattr(transaction, name))
        found = []
        for index, width in enumerate(self._windows_us):
            if time > user.latest_us - width:
                for counter, column in zip(user.counters[index], user.columns, strict=True):
                    counter[column[place]] = counter.get(column[place], 0) + 1
            else:
                user.starts[index] += 1
            low = bisect_right(user.times, time - width)
            total = user.prefix_cents[place + 1] - user.prefix_cents[low]
            found.append((place + 1 - low, total, [len(set(column[low : place + 1])) for column in user.columns]))
        return found

    def _state_values(self, user: UserState, transaction: Transaction) -> dict[str, float]:
        """The values that come from before this transaction, by kind (`first_seen` by column)."""
        values = {column: float(getattr(transaction, column) not in seen) for column, seen in user.seen.items()}
        values["seconds_since_last"] = values["speed_kmh"] = values["amount_ratio"] = math.nan
        if user.latest_us != NEVER:
            seconds = (transaction.event_time_us - user.latest_us) / SECOND_US
            distance = distance_km(user.last_location, transaction.location)
            values["seconds_since_last"] = seconds
            if distance is not None:
                values["speed_kmh"] = distance / max(abs(seconds), 1.0) * 3600.0
        if user.total_cents > 0:
            values["amount_ratio"] = transaction.amount_cents / (user.total_cents / user.total_count)
        values["hour_of_day"] = float(transaction.event_time_us // (3600 * SECOND_US) % 24)
        values["amount"] = transaction.amount_cents / 100
        return values

    def _in_order(
        self, transaction: Transaction, windows: list[tuple[int, int, list[int]]] | None, state: dict[str, float]
    ) -> tuple[float, ...]:
        features = []
        for feature in self.spec.features:
            if isinstance(feature, Daily):
                table = self.daily.get(feature.name)
                key = getattr(transaction, feature.key)
                features.append(math.nan if table is None else table.lookup(transaction.event_time_us, key))
            elif isinstance(feature, State):
                features.append(state[feature.column or feature.kind])
            elif windows is None:
                features.append(math.nan)
            else:
                features.append(self._window_value(feature, windows[self.spec.windows.index(feature.seconds)]))
        return tuple(features)

    def _window_value(self, feature: Window, window: tuple[int, int, list[int]]) -> float:
        count, cents, distinct = window
        if feature.aggregate == "count":
            return float(count)
        if feature.aggregate == "mean":
            return cents / count / 100
        return float(distinct[self.spec.distinct_columns.index(feature.column)])

    def _remember(self, user: UserState, transaction: Transaction) -> None:
        user.ids[transaction.transaction_id] = transaction.event_time_us
        user.total_count += 1
        user.total_cents += transaction.amount_cents
        for column, seen in user.seen.items():
            seen.add(getattr(transaction, column))
        if transaction.event_time_us >= user.latest_us:
            user.latest_us = transaction.event_time_us
            user.last_location = transaction.location
        expired = bisect_right(user.times, user.latest_us - self.spec.retention_us)
        if expired >= TRIM_AT:
            self._trim(user, expired)

    def _trim(self, user: UserState, expired: int) -> None:
        horizon = user.latest_us - self.spec.retention_us
        del user.times[:expired], user.prefix_cents[:expired]
        for column in user.columns:
            del column[:expired]
        user.starts = [start - expired for start in user.starts]
        user.ids = {number: time for number, time in user.ids.items() if time > horizon}


def _discard(counter: dict[str, int], value: str) -> None:
    left = counter[value] - 1
    if left:
        counter[value] = left
    else:
        del counter[value]
