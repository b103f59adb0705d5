"""What others use to see drift, on the same scored payments: the days on which each rings.

Evidently and river are in benchmarks/requirements.txt; each detector has its defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from benchmarks.drift_worlds import FIRST_DAY, World
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.arrays import Array, Floats
from capstone_utils.monitoring.drift.measures import SHIFTED, index_of_counts
from capstone_utils.serving.reference import count, tenths
from capstone_utils.transaction import DAY_US

WEEK = 7
Rings = list[float]  # days of the stream


def every_week(world: World) -> Rings:
    """No detector at all: it rings each Monday. What it "sees" is luck."""
    return [float(day) for day in range(FIRST_DAY + WEEK, int(days_of(world)[-1]) + 1, WEEK)]


def fixed_week(world: World) -> Rings:
    """The convention: an index above 0.1 of any feature, a day against the first week."""
    day = days_of(world).astype(int)
    first = world.features[day < FIRST_DAY + WEEK]
    edges = [tenths(column) for column in first.T]
    counts = {
        number: np.stack(
            [count(column, each) for column, each in zip(world.features[day == number].T, edges, strict=True)]
        )
        for number in range(FIRST_DAY, day[-1] + 1)
    }
    before = sum(counts[number] for number in range(FIRST_DAY, FIRST_DAY + WEEK))
    moved = {
        number: index_of_counts(before, counts[number]) > SHIFTED for number in counts if number >= FIRST_DAY + WEEK
    }
    earlier = np.zeros(len(SPEC.names), dtype=bool)
    rings = []
    for number, now in moved.items():
        rings += [number + 1.0] * int((now & ~earlier).sum())  # each feature rings when it begins to be above
        earlier = now
    return rings


def adwin_scores(world: World) -> Rings:
    """river's ADWIN over the scores, payment by payment."""
    from river.drift import ADWIN

    return _rings(ADWIN(), world.probabilities, days_of(world))


def page_hinkley_scores(world: World) -> Rings:
    """river's Page-Hinkley test over the scores."""
    from river.drift import PageHinkley

    return _rings(PageHinkley(), world.probabilities, days_of(world))


def adwin_misses(world: World) -> Rings:
    """river's ADWIN over the reported frauds, missed or not, in the order in which they became known."""
    from river.drift import ADWIN

    return _rings(ADWIN(), *_misses(world))


def page_hinkley_misses(world: World) -> Rings:
    """river's Page-Hinkley test over the same."""
    from river.drift import PageHinkley

    return _rings(PageHinkley(), *_misses(world))


def evidently_preset(world: World) -> Rings:
    """Evidently's preset: half of the columns drift, a week against the first week."""
    return [day for day, columns in _evidently(world) if columns >= len(SPEC.names) / 2]


def evidently_columns(world: World) -> Rings:
    """Evidently's tests behind it: any of the columns drifts."""
    return [day for day, columns in _evidently(world) if columns]


CONTENDERS: dict[str, Callable[[World], Rings]] = {
    "every_week": every_week,
    "fixed_week": fixed_week,
    "adwin_scores": adwin_scores,
    "page_hinkley_scores": page_hinkley_scores,
    "adwin_misses": adwin_misses,
    "page_hinkley_misses": page_hinkley_misses,
}
EVIDENTLY: dict[str, Callable[[World], Rings]] = {
    "evidently_preset": evidently_preset,
    "evidently_columns": evidently_columns,
}


def days_of(world: World) -> Floats:
    """The day of the stream of each payment, with its fraction."""
    days: Floats = world.times_us / DAY_US - world.times_us[0] // DAY_US + FIRST_DAY
    return days


def _misses(world: World) -> tuple[Array, Floats]:
    """Missed or not, and the day on which it became known, of reported frauds in that order."""
    order = np.flatnonzero(world.reported)
    order = order[np.argsort(world.known_at_us[order], kind="stable")]
    known = (world.known_at_us[order] - world.times_us[0]) / DAY_US + days_of(world)[0]
    return ~world.frauds[order], known


def _rings(detector: object, values: Iterable[float], days: Floats) -> Rings:
    rings = []
    for value, day in zip(values, days.tolist(), strict=True):
        detector.update(float(value))
        if detector.drift_detected:
            rings.append(day)
    return rings


_LATEST: list[tuple[World, list[tuple[float, int]]]] = []  # the world looked at last: both read the same reports


def _evidently(world: World) -> list[tuple[float, int]]:
    """The end of each week after the first, and its drifted columns."""
    if not _LATEST or _LATEST[0][0] is not world:
        from evidently import DataDefinition, Dataset, Report
        from evidently.metrics import DriftedColumnsCount

        day = days_of(world)

        def week(first: int) -> pd.DataFrame:
            return pd.DataFrame(world.features[(day >= first) & (day < first + WEEK)], columns=list(SPEC.names))

        reference, weeks = week(FIRST_DAY), []
        for first in range(FIRST_DAY + WEEK, int(day[-1]) - WEEK + 2, WEEK):
            current = week(first).dropna(axis="columns", how="all")  # Evidently refuses a column without a value
            definition = DataDefinition(numerical_columns=list(current))
            pair = [
                Dataset.from_pandas(each[list(current)], data_definition=definition) for each in (current, reference)
            ]
            # What the preset DataDriftPreset decides by, without its pictures: they take six times as long.
            report = Report([DriftedColumnsCount()]).run(*pair)
            drifted = int(report.dict()["metrics"][0]["value"]["count"]) + len(SPEC.names) - len(list(current))
            weeks.append((float(first + WEEK), drifted))
        _LATEST[:] = [(world, weeks)]
    return _LATEST[0][1]
