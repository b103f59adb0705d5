"""The plan of one key's state: ranges of time, values to keep, retention."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from capstone_utils.features.spec import VALUE_COUNTS, FeatureSpec, Window
from capstone_utils.transaction import SECOND_US


class Range(NamedTuple):
    """A range of event time that features share: (t - delay - width, t - delay]."""

    delay_us: int
    width_us: int
    fraud: bool  # a fraud rate is asked for


@dataclass(frozen=True)
class KeyPlan:
    """The ranges of one key, and what its state keeps for them.

    The values of a state stand in the order of `slots`. First come, for each range, count, mean and, where asked for,
    fraud rate. Then come, for each column, the numbers of distinct values, and those of the same value, in the ranges
    that ask for them.
    """

    key: str
    ranges: tuple[Range, ...]
    columns: tuple[str, ...]  # text columns of which values are counted
    distinct: tuple[tuple[int, ...], ...]  # for each column, positions in `ranges`
    same: tuple[tuple[int, ...], ...]  # likewise
    retention_us: int  # the longest range and the allowed lateness
    lateness_us: int
    max_events: int

    @cached_property
    def plain(self) -> bool:
        """True when all ranges, at least one, end with the transaction itself and have no fraud rate."""
        return bool(self.ranges) and not any(each.delay_us or each.fraud for each in self.ranges)

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """The ranges' widths, microseconds, shortest first."""
        return tuple(each.width_us for each in self.ranges)

    @cached_property
    def ones(self) -> list[float]:
        """The numbers of values for a transaction alone in every range."""
        return [1.0] * sum(map(len, self.distinct + self.same))

    @cached_property
    def slots(self) -> tuple[tuple[str, str, int], ...]:
        """The aggregate, text column (if any) and position in `ranges` of each value of a state."""
        slots = []
        for place, each in enumerate(self.ranges):
            slots += [("count", "", place), ("mean", "", place)] + [("fraud_rate", "", place)] * each.fraud
        for column, distinct, same in zip(self.columns, self.distinct, self.same, strict=True):
            slots += [("distinct", column, place) for place in distinct] + [("same", column, place) for place in same]
        return tuple(slots)

    def place(self, window: Window) -> int:
        """The position of the window's value among the values of a state."""
        ranges = [(each.delay_us, each.width_us) for each in self.ranges]
        column = window.column if window.aggregate in VALUE_COUNTS else ""
        return self.slots.index((window.aggregate, column, ranges.index(_range(window))))


def key_plan(spec: FeatureSpec, key: str) -> KeyPlan:
    """The plan of the spec's windows over `key`, without delay and shortest first."""
    windows = [window for window in spec.windows if window.key == key]
    spans = sorted({_range(window) for window in windows})
    rated = {_range(window) for window in windows if window.aggregate == "fraud_rate"}
    counted = [window for window in windows if window.aggregate in VALUE_COUNTS]
    columns = tuple(dict.fromkeys(window.column for window in counted))

    def places(aggregate: str) -> tuple[tuple[int, ...], ...]:
        chosen = [(each.column, spans.index(_range(each))) for each in counted if each.aggregate == aggregate]
        return tuple(tuple(sorted({place for name, place in chosen if name == column})) for column in columns)

    lateness_us = spec.allowed_lateness_seconds * SECOND_US
    return KeyPlan(
        key,
        tuple(Range(*span, span in rated) for span in spans),
        columns,
        places("distinct"),
        places("same"),
        max((delay + width for delay, width in spans), default=SECOND_US) + lateness_us,
        lateness_us,
        spec.max_events,
    )


def other_keys(spec: FeatureSpec) -> tuple[str, ...]:
    """The keys besides the user that have windows."""
    return tuple(dict.fromkeys(window.key for window in spec.windows if window.key != "user_id"))


def _range(window: Window) -> tuple[int, int]:
    return window.delay_seconds * SECOND_US, window.seconds * SECOND_US
