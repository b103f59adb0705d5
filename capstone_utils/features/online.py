"""Features as the stream goes by: a small state per user, one `update` a transaction, in the order of arrival."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping
from operator import itemgetter

from capstone_utils.features.daily import DailyTable
from capstone_utils.features.spec import SECOND_US, SPEC, Daily, Feature, FeatureSpec, State
from capstone_utils.ingestion.places import distance_km
from capstone_utils.transaction import Transaction

NEVER = -(2**62)  # an event time before any other
TRIM_AT = 16  # beyond so many transactions, the expired ones are dropped when they are half of them
HISTORY = ("amount", "hour_of_day", "seconds_since_last", "speed_kmh", "amount_ratio")


class UserState:
    """What is remembered of one user: the transactions of the retention in event-time order, and lasting habits."""

    __slots__ = ("events", "ids", "last_location", "last_seen", "latest_us", "prefix_cents", "seen_order", "starts")
    __slots__ += ("times", "total_cents", "total_count")

    def __init__(self, windows: int, columns: int) -> None:
        self.events: list[Transaction] = []
        self.times: list[int] = []  # their event times
        self.prefix_cents = [0]  # prefix_cents[i] is the sum of the first i amounts
        self.starts = [0] * windows  # first transaction inside each window that ends at the latest one
        self.ids: dict[int, int] = {}  # transaction id -> event time
        self.last_seen: tuple[dict[str, int], ...] = tuple({} for _ in range(columns))  # value -> latest event time
        self.seen_order: tuple[list[int], ...] = tuple([] for _ in range(columns))  # those times, ascending
        self.latest_us = NEVER
        self.last_location = ""
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
        self.users: dict[int, UserState] = {}
        self.late = self.too_late = self.duplicates = 0
        self._daily = [((daily or {}).get(f.name), _field(f.key)) for f in spec.features if isinstance(f, Daily)]
        self._columns = [_field(column) for column in spec.text_columns]
        self._widths_us = [seconds * SECOND_US for seconds in spec.windows]
        self._lateness_us = spec.allowed_lateness_seconds * SECOND_US
        self._retention_us = spec.retention_us
        self._missing_windows = [math.nan] * (len(spec.windows) * (2 + len(self._columns)))
        self._in_order = itemgetter(*(_place(spec, feature) for feature in spec.features))

    def update(self, transaction: Transaction) -> tuple[float, ...] | None:
        """The features in the spec's order, missing ones as NaN; None when this transaction was already seen.

        A transaction later than the allowed lateness gets no window features (NaN) and changes no state.
        """
        user = self.users.get(transaction.user_id)
        if user is None:
            user = self.users[transaction.user_id] = UserState(len(self._widths_us), len(self._columns))
        latest, time = user.latest_us, transaction.event_time_us
        before = user.ids.get(transaction.transaction_id)
        if before is not None and before > latest - self._retention_us:
            self.duplicates += 1
            return None
        history = self._history(user, transaction)
        if time >= latest:
            windows = self._append(user, transaction)
        elif time >= latest - self._lateness_us:
            self.late += 1
            windows = self._insert(user, transaction)
        else:
            self.too_late += 1
            return self._in_order(self._missing_windows + history)
        return self._in_order(windows + history)

    def _history(self, user: UserState, transaction: Transaction) -> list[float]:
        """What came before this transaction: the values of HISTORY, first-seen flags by column, batch values."""
        time, cents = transaction.event_time_us, transaction.amount_cents
        seconds = speed = ratio = math.nan
        if user.latest_us != NEVER:
            seconds = (time - user.latest_us) / SECOND_US
            distance = distance_km(user.last_location, transaction.location)
            if distance is not None:
                speed = distance / max(abs(seconds), 1.0) * 3600.0
            if user.total_cents > 0:
                ratio = cents / (user.total_cents / user.total_count)
        values = [cents / 100, float(time // (3600 * SECOND_US) % 24), seconds, speed, ratio]
        for field, seen in zip(self._columns, user.last_seen, strict=True):
            values.append(0.0 if transaction[field] in seen else 1.0)
        for table, field in self._daily:
            values.append(math.nan if table is None else table.lookup(time, transaction[field]))
        return values

    def _append(self, user: UserState, transaction: Transaction) -> list[float]:
        """Count, mean and distinct values for each window, after adding the latest transaction."""
        time = transaction.event_time_us
        times, prefix, starts = user.times, user.prefix_cents, user.starts
        times.append(time)
        user.events.append(transaction)
        total = prefix[-1] + transaction.amount_cents
        prefix.append(total)
        self._remember(user, transaction)
        user.latest_us = time
        user.last_location = transaction.location
        values: list[float] = []
        for index, width in enumerate(self._widths_us):
            edge, start = time - width, starts[index]
            while times[start] <= edge:
                start += 1
            starts[index] = start
            count = len(times) - start
            values += (float(count), (total - prefix[start]) / count / 100)
            for order in user.seen_order:
                values.append(float(len(order) - bisect_right(order, edge)))
        if len(times) > TRIM_AT and times[len(times) // 2] <= time - self._retention_us:
            self._trim(user)
        return values

    def _insert(self, user: UserState, transaction: Transaction) -> list[float]:
        """The same for a late transaction: put in its place in time, seen only by windows that are still to come.

        Its own distinct values are counted anew: the cost is that of its window's transactions, for late ones only.
        """
        time, times, prefix = transaction.event_time_us, user.times, user.prefix_cents
        place = bisect_right(times, time)
        times.insert(place, time)
        user.events.insert(place, transaction)
        prefix[place + 1 :] = [prefix[place], *prefix[place + 1 :]]
        for later in range(place + 1, len(prefix)):
            prefix[later] += transaction.amount_cents
        self._remember(user, transaction)
        values: list[float] = []
        for index, width in enumerate(self._widths_us):
            if time <= user.latest_us - width:
                user.starts[index] += 1
            low = bisect_right(times, time - width)
            count = place + 1 - low
            values += (float(count), (prefix[place + 1] - prefix[low]) / count / 100)
            inside = user.events[low : place + 1]
            values += [float(len({event[field] for event in inside})) for field in self._columns]
        return values

    def _remember(self, user: UserState, transaction: Transaction) -> None:
        time = transaction.event_time_us
        user.ids[transaction.transaction_id] = time
        user.total_count += 1
        user.total_cents += transaction.amount_cents
        for field, seen, order in zip(self._columns, user.last_seen, user.seen_order, strict=True):
            before = seen.get(transaction[field])
            if before is None:
                insort(order, time)
            elif before < time:
                del order[bisect_left(order, before)]
                insort(order, time)
            else:
                continue
            seen[transaction[field]] = time

    def _trim(self, user: UserState) -> None:
        """Drop what has left the retention."""
        horizon = user.latest_us - self._retention_us
        expired = bisect_right(user.times, horizon)
        del user.times[:expired], user.events[:expired], user.prefix_cents[:expired]
        user.starts = [start - expired for start in user.starts]
        user.ids = {number: time for number, time in user.ids.items() if time > horizon}


def _field(column: str) -> int:
    return Transaction._fields.index(column)


def _place(spec: FeatureSpec, feature: Feature) -> int:
    """Where `update` leaves the feature's value: windows first, then HISTORY, first-seen flags, batch values."""
    columns = spec.text_columns
    history = len(spec.windows) * (2 + len(columns))
    if isinstance(feature, Daily):
        daily = [f.name for f in spec.features if isinstance(f, Daily)]
        return history + len(HISTORY) + len(columns) + daily.index(feature.name)
    if isinstance(feature, State):
        if feature.kind == "first_seen":
            return history + len(HISTORY) + columns.index(feature.column)
        return history + HISTORY.index(feature.kind)
    offset = {"count": 0, "mean": 1}.get(feature.aggregate)
    first = spec.windows.index(feature.seconds) * (2 + len(columns))
    return first + (2 + columns.index(feature.column) if offset is None else offset)
