"""The window state of one key: look at it, add, and trim."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from capstone_utils.features.plan import KeyPlan

NEVER = -(2**62)  # an event time before any other
TRIM_AT = 16  # from so many transactions on, the expired ones are dropped when they are half of them


def latest_until(time: int, times: list[int] | None) -> int:
    """The greatest of the ascending `times` up to `time`, or NEVER."""
    place = bisect_right(times, time) if times else 0
    return times[place - 1] if times and place else NEVER


def own_count(seen: list[int] | None, edge: int, time: int) -> int:
    """The number of the ascending times in (edge, time], and one for the transaction itself."""
    return bisect_right(seen, time) - bisect_right(seen, edge) + 1 if seen else 1


class WindowState:
    """One key's transactions of the retention, in event-time order (equal times in order of arrival).

    A transaction costs O(log n) in the n kept. Counts and sums are differences between two places, which bisection
    finds. Distinct values are those whose latest time lies in the window; those of the same value are counted among its
    times. A late transaction costs more for each one that overtook it: these move up, and their values' earlier times
    are looked up.
    """

    __slots__ = ("fraud_times", "ids", "latest_us", "prefix_cents", "recent", "reported", "seen_at", "texts", "times")

    def __init__(self, columns: int) -> None:
        self.times: list[int] = []
        self.ids: list[int] = []
        self.latest_us = NEVER  # the greatest of the times
        self.prefix_cents = [0]  # prefix_cents[i] is the sum of the first i amounts
        self.texts: tuple[list[str], ...] = tuple([] for _ in range(columns))
        self.seen_at: tuple[dict[str, list[int]], ...] = tuple({} for _ in range(columns))  # value -> its event times
        self.recent: tuple[list[int], ...] = tuple([] for _ in range(columns))  # the last of each value's, ascending
        self.reported: set[int] = set()  # ids of the transactions reported as fraud
        self.fraud_times: list[int] = []  # their event times, ascending

    def look(self, plan: KeyPlan, time: int, cents: int, texts: Sequence[str]) -> list[float]:
        """The ranges' values for a transaction, as if added; changes nothing.

        All are NaN for a transaction that is later than the allowed lateness.
        """
        times, prefix, latest = self.times, self.prefix_cents, self.latest_us
        if time >= latest and plan.plain:
            return self._look_now(plan, time, cents, texts)
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
            recent, seen = self.recent[column], self.seen_at[column].get(text)
            if time >= latest:
                size, own, others = len(recent), seen[-1] if seen else NEVER, None
            else:
                size, own, others = bisect_right(recent, time), latest_until(time, seen), self._until(time, column, end)
            for place in plan.distinct[column]:
                edge = edges[place]
                distinct_count = size - bisect_right(recent, edge) + (own <= edge)
                if others:
                    distinct_count += sum(before > edge for before in others)
                values.append(float(distinct_count))
            for place in plan.same[column]:
                values.append(float(own_count(seen, edges[place], time)))
        return values

    def _look_now(self, plan: KeyPlan, time: int, cents: int, texts: Sequence[str]) -> list[float]:
        """The same for the usual transaction: it is the latest, and ranges end with it."""
        times, prefix = self.times, self.prefix_cents
        end = len(times)
        total = prefix[end] + cents
        values: list[float] = []
        lows: list[int] = []
        for edge in plan.widths:
            low = bisect_right(times, time - edge)
            lows.append(low)
            count = end - low + 1
            values.append(float(count))
            values.append((total - prefix[low]) / count / 100)
        if low == end:  # alone in the longest range, and so in all
            return values + plan.ones
        for column, text in enumerate(texts):
            recent = self.recent[column]
            seen = self.seen_at[column].get(text)
            size, own = len(recent), seen[-1] if seen else NEVER
            for place in plan.distinct[column]:
                if lows[place] == end:
                    values.append(1.0)
                else:
                    edge = time - plan.widths[place]
                    values.append(float(size - bisect_right(recent, edge) + (own <= edge)))
            for place in plan.same[column]:
                values.append(float(own_count(seen, time - plan.widths[place], time)))
        return values

    def add(self, plan: KeyPlan, number: int, time: int, cents: int, texts: Sequence[str]) -> None:
        """Insert the transaction at its place; trim the state when due."""
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
        """Note a time of the value; keep the values' latest times ordered."""
        seen_at, recent = self.seen_at[column], self.recent[column]
        seen = seen_at.get(text)
        if seen is None:
            seen_at[text] = [time]
            insort(recent, time)
            return
        before = seen[-1]
        insort(seen, time)
        if before < time and before == recent[-1]:  # it is the latest value again
            recent[-1] = time
        elif before < time:
            del recent[bisect_left(recent, before)]
            insort(recent, time)

    def _until(self, time: int, column: int, end: int) -> list[int]:
        """The latest time up to `time` of each value of the transactions from place `end` on, which overtook it."""
        return [latest_until(time, self.seen_at[column][text]) for text in set(self.texts[column][end:])]

    def mark_fraud(self, number: int, time: int) -> None:
        """Mark a transaction as reported fraud, if it is kept and not yet marked."""
        low, high = bisect_left(self.times, time), bisect_right(self.times, time)
        if number in self.ids[low:high] and number not in self.reported:
            self.reported.add(number)
            insort(self.fraud_times, time)

    def trim(self, plan: KeyPlan) -> None:
        """Forget the transactions beyond the retention; if more than `max_events` remain, the older half as well."""
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
        """Compute again what follows from the kept transactions."""
        self.seen_at = tuple({} for _ in self.texts)
        for column, seen_at in zip(self.texts, self.seen_at, strict=True):
            for text, time in zip(column, self.times, strict=True):
                seen_at.setdefault(text, []).append(time)
        self.recent = tuple(sorted(seen[-1] for seen in seen_at.values()) for seen_at in self.seen_at)
        self.reported.intersection_update(self.ids)
        self.fraud_times = [time for number, time in zip(self.ids, self.times, strict=True) if number in self.reported]

    def to_list(self) -> list[Any]:
        """The state as plain values for JSON; times are distances from the latest one."""
        latest = self.latest_us
        cents = [after - before for before, after in pairwise(self.prefix_cents)]
        return [latest, [latest - time for time in self.times], self.ids, cents, self.texts, sorted(self.reported)]

    def fill(self, kept: list[Any]) -> None:
        """Restore the state that `to_list` gave."""
        self.latest_us, distances, self.ids, cents, texts, reported = kept
        self.times = [self.latest_us - distance for distance in distances]
        self.prefix_cents = list(accumulate(cents, initial=0))
        self.texts = tuple(texts)
        self.reported = set(reported)
        self.settle()
