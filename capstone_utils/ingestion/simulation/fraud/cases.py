"""Cases of fraud as columns: their number, their payments, and the times of these."""

from __future__ import annotations

import numpy as np

from capstone_utils.ingestion.arrays import Array, Floats, Integers
from capstone_utils.transaction import DAY_SECONDS


def case_count(rate: float, customers: int, days: float) -> int:
    """The number of cases for a rate in 1,000 customers' days."""
    return round(rate * customers * days / 1000)


def expand(sizes: Array) -> tuple[Array, Array]:
    """Each payment's case, and its place in that case."""
    case = np.repeat(np.arange(len(sizes)), sizes)
    return case, np.arange(len(case)) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def since_first(case: Integers, place: Integers, gap: Floats) -> Floats:
    """Seconds since the case's first payment when each follows the one before by its `gap`."""
    total = np.cumsum(np.where(place == 0, 0.0, gap))
    seconds: Floats = total - total[place == 0][case]
    return seconds


def spaced(case: Array, place: Array, sizes: Array, duration: Array, generator: np.random.Generator) -> Array:
    """Seconds since the case's first payment: even, with jitter between first and last.

    The last one comes after `duration` seconds.
    """
    step = (duration / np.maximum(sizes - 1, 1))[case]
    inner = (place > 0) & (place < sizes[case] - 1)
    seconds: Floats = (place + np.where(inner, generator.uniform(-0.4, 0.4, len(case)), 0.0)) * step
    return seconds


def time_of_day(count: int, night: float, generator: np.random.Generator) -> Floats:
    """Seconds since midnight: a share `night` of them before six, the rest around three in the afternoon."""
    late = generator.random(count) < night
    hour = np.where(late, generator.uniform(0, 6, count), generator.normal(15, 4, count) % 24)
    return hour * 3600.0


def begin_times(count: int, days: float, longest_seconds: float, night: float, generator: np.random.Generator) -> Array:
    """The second at which each case begins, early enough to end inside the stream.

    The cases are spread evenly enough that each week has its share.
    """
    day = np.floor((np.arange(count) + generator.random(count)) * days / max(count, 1))
    second = day * DAY_SECONDS + time_of_day(count, night, generator)
    begin: Floats = np.minimum(second, days * DAY_SECONDS - longest_seconds)
    return begin
