"""Distances of a day's distributions, as shares of their limits: from the weeks before, and from the reference."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from capstone_utils.features.spec import SPEC, FeatureSpec, State
from capstone_utils.ingestion.arrays import Floats, Integers
from capstone_utils.monitoring.drift.days import Day, Days
from capstone_utils.monitoring.drift.measures import BATCH, ROWS_NEEDED, index_of_counts
from capstone_utils.serving.reference import SCORE, weekday

# Half of what credit scoring calls "shifted": a day is held against its own weekday, so it has less reason to move.
LIMIT = 0.05
SCORE_LIMIT = 0.1  # "shifted": the lowest scores move a little with the batch tables, night after night
CHANCE = 10.0  # and at least so many times what chance alone makes of so few rows


class Distributions:
    """The population stability index of each column, day by day.

    A batch feature has none: its table is made again each night, and then all its values move (`BatchAges` watches it).
    From the reference, which stays where it is, there is none of a first-seen flag either: the longer a history is, the
    less is new.
    """

    def __init__(self, days: Days, spec: FeatureSpec = SPEC) -> None:
        self._days = days
        self._columns = days.reference.columns
        self._limits = np.array([SCORE_LIMIT if column == SCORE else LIMIT for column in self._columns])
        self._ageing = {f.name for f in spec.features if isinstance(f, State) and f.kind == "first_seen"}

    def ratios(self, number: int, day: Day) -> Iterator[tuple[str, str, float]]:
        """Detector, column and ratio for each column of a closed day; nothing for a day of too few transactions."""
        if day.transactions < ROWS_NEEDED:
            return
        before, _ = self._days.usual(number)
        kept = self._days.reference.weekdays[weekday(number)]
        recent, original = self._ratios(before, day.counts), self._ratios(kept, day.counts)
        for place, column in enumerate(self._columns):
            if column not in BATCH:
                yield ("score" if column == SCORE else "feature"), column, float(recent[place])
                if column not in self._ageing:
                    yield "reference", column, float(original[place])

    def _ratios(self, before: Integers, now: Integers) -> Floats:
        """The index of each column as a share of its limit; 0 where too few rows stand on the other side."""
        rows = before[0].sum(), now[0].sum()
        if min(rows) < ROWS_NEEDED:
            return np.zeros(len(now))
        bins = ((before + now) > 0).sum(axis=1)
        chance = (bins - 1) * (1 / rows[0] + 1 / rows[1])  # Yurdakul and Naranjo 2020, as in `measures`
        ratios: Floats = index_of_counts(before, now) / np.maximum(self._limits, CHANCE * chance)
        return ratios
