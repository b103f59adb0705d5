"""The transactions of one key that its windows may still need: look at them as of a moment, add one, forget the old."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from capstone_utils.features.plan import KeyPlan

NEVER = -(2**62)  # an event time before any other
TRIM_AT = 16  # from so many transactions on, the expired ones are dropped when they are half of them


class WindowState:
    """One key's transactions of the retention, in event-time order (equal times in order of arrival).

    A transaction in order costs O(log n) in the n kept: counts and sums are differences between two places, found by
    bisection; distinct values are those whose latest time lies in the window. A late one also moves those that overtook
    it and counts its own windows' distinct values anew: O(n), in C. docs/decisions/06-bounded-state.md has the figures.
    """

    __slots__ = ("fraud_times", "ids", "last", "latest_us", "prefix_cents", "recent", "reported", "texts", "times")

    def __init__(self, columns: int) -> None:
        self.times: list[int] = []
        self.ids: list[int] = []
        self.latest_us = NEVER  # the greatest of the times
        self.prefix_cents = [0]  # prefix_cents[i] is the sum of the first i amounts
        self.texts: tuple[list[str], ...] = tuple([] for _ in range(columns))
        self.last: tuple[dict[str, int], ...] = tuple({} for _ in range(columns))  # value -> latest event time
        self.recent: tuple[list[int], ...] = tuple([] for _ in range(columns))  # those times, ascending
        self.reported: set[int] = set()  # ids of the transactions reported as fraud
        self.fraud_times: list[int] = []  # their event times, ascending

    def look(self, plan: KeyPlan, time: int, cents: int, texts: Sequence[str]) -> list[float]:
        """The values of the plan's ranges for a transaction at `time`, as if it had been added; changes nothing.

        All are NaN for a transaction that is later than the allowed lateness.
        """
        times, prefix, latest = self.times, self.prefix_cents, self.latest_us
        if time < latest - plan.lateness_us:
            return [math.nan] * len(plan.slots)
        end = len(times) if time >= latest else bisect_right(times, time)
        values: list[float] = []
        edges: list[int] = []
        for delay, width, fraud in plan.ranges:
            edge = time - delay - width
            edges.append(edge)
            low = bisect_right(times, edge)
            if delay:
                high = bisect_right(times, time - delay)
                count, total = high - low, prefix[high] - prefix[low]
            else:
                count, total = end - low + 1, prefix[end] - prefix[low] + cents
            values.append(float(count))
            values.append(total / count / 100 if count else math.nan)
            if fraud:
                reported = bisect_right(self.fraud_times, time - delay) - bisect_right(self.fraud_times, edge)
                values.append(reported / count if count else math.nan)
        for column, text in enumerate(texts):
            if time >= latest:
                recent = self.recent[column]
                size, before = len(recent), self.last[column].get(text, NEVER)
                for place in plan.distinct[column]:
                    edge = edges[place]
                    values.append(float(size - bisect_right(recent, edge) + (before <= edge)))
            else:
                for place in plan.distinct[column]:
                    low = bisect_right(times, edges[place])
                    values.append(float(len({text, *self.texts[column][low:end]})))
        return values

    def add(self, plan: KeyPlan, number: int, time: int, cents: int, texts: Sequence[str]) -> None:
        """Take the transaction in, in its place; forget others when it is time to."""
        times, prefix = self.times, self.prefix_cents
        if time >= self.latest_us:
            self.latest_us = time
            times.append(time)
            self.ids.append(number)
            prefix.append(prefix[-1] + cents)
            for column, text in enumerate(texts):
                self.texts[column].append(text)
                self._see(column, text, time)
        else:
            place = bisect_right(times, time)
            times.insert(place, time)
            self.ids.insert(place, number)
            prefix[place + 1 :] = [total + cents for total in prefix[place:]]
            for column, text in enumerate(texts):
                self.texts[column].insert(place, text)
                self._see(column, text, time)
        full = len(times)
        if full > plan.max_events or (full > TRIM_AT and times[full // 2] <= self.latest_us - plan.retention_us):
            self.trim(plan)

    def _see(self, column: int, text: str, time: int) -> None:
        """Keep the latest time of the value, and the order of those times."""
        last, recent = self.last[column], self.recent[column]
        before = last.get(text, NEVER)
        if before >= time:
            return
        last[text] = time
        if before != NEVER:
            if before == recent[-1]:  # it is the latest value again
                recent[-1] = time
                return
            del recent[bisect_left(recent, before)]
        insort(recent, time)

    def report(self, number: int, time: int) -> None:
        """Remember that a transaction was reported as fraud; if it is not kept, or known already, nothing changes."""
        low, high = bisect_left(self.times, time), bisect_right(self.times, time)
        if number in self.ids[low:high] and number not in self.reported:
            self.reported.add(number)
            insort(self.fraud_times, time)

    def trim(self, plan: KeyPlan) -> None:
        """Forget what has left the retention; then, above `max_events`, the older half."""
        expired = bisect_right(self.times, self.latest_us - plan.retention_us)
        if len(self.times) - expired > plan.max_events:
            expired = len(self.times) - plan.max_events // 2
        if not expired:
            return
        del self.times[:expired], self.ids[:expired], self.prefix_cents[:expired]
        for column in self.texts:
            del column[:expired]
        self.settle()

    def settle(self) -> None:
        """Work out anew what follows from the transactions that are kept."""
        self.last = tuple(dict(zip(column, self.times, strict=True)) for column in self.texts)
        self.recent = tuple(sorted(last.values()) for last in self.last)
        self.reported.intersection_update(self.ids)
        self.fraud_times = [time for number, time in zip(self.ids, self.times, strict=True) if number in self.reported]

    def to_list(self) -> list[Any]:
        """What is kept, as plain values for JSON: the latest time, and columns, times as distances from it."""
        latest = self.latest_us
        cents = [after - before for before, after in pairwise(self.prefix_cents)]
        return [latest, [latest - time for time in self.times], self.ids, cents, self.texts, sorted(self.reported)]

    def fill(self, kept: list[Any]) -> None:
        """Take over what `to_list` gave."""
        self.latest_us, distances, self.ids, cents, texts, reported = kept
        self.times = [self.latest_us - distance for distance in distances]
        self.prefix_cents = list(accumulate(cents, initial=0))
        self.texts = tuple(texts)
        self.reported = set(reported)
        self.settle()
