"""A model's reference: how its features, scores and alerts were distributed in the weeks before it decided."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from capstone_utils.errors import CapstoneError
from capstone_utils.ingestion.arrays import Array, Booleans, Floats, Integers
from capstone_utils.transaction import DAY_US

BINS = 10
PLACES = BINS + 1  # a column's bins: one below its least value, and its tenths; at most, for tenths may coincide
MISSING = PLACES  # the last place of a row of counts: values that are missing (NaN)
SCORE = "score"  # the column beside the features
WEEK = 7
Day = TypeVar("Day", int, Integers)


class InvalidReference(CapstoneError):
    """A text that holds no reference; the message says what is wrong with it."""


@dataclass(frozen=True)
class Reference:
    """Counts of each column's values in bins, by weekday, and the shares that are usual.

    A model brings its own: it says what ordinary weeks look like to this model. Bins never move, so that each day of
    the stream is a few hundred whole numbers, the same in whatever order its transactions come.
    """

    columns: tuple[str, ...]  # the features in the spec's order, then SCORE
    edges: tuple[Floats, ...]  # of each column's bins, ascending
    weekdays: Integers  # shape (7, columns, PLACES + 1), 0: Monday
    days: int  # the days counted
    reported: float  # share of transactions that are reported as fraud
    missed: float  # share of reported frauds that the model does not call fraud, at the least
    alerted: float  # users called fraud on a day, as a share of its transactions

    def counts(self, rows: Floats) -> Integers:
        """Values in each bin, shape (columns, PLACES + 1), of rows of shape (transactions, columns)."""
        return np.stack([count(rows[:, place], edges) for place, edges in enumerate(self.edges)])

    def above(self, place: int, value: float) -> slice:
        """The bins of a column, by its place, that hold what is larger than a value on one of its edges."""
        return slice(int(np.searchsorted(self.edges[place], value, side="right")), MISSING)

    def to_json(self) -> str:
        """JSON from which `parse_reference` makes an equal object: numbers only."""
        kept = vars(self) | {"edges": [each.tolist() for each in self.edges], "weekdays": self.weekdays.tolist()}
        return json.dumps(kept) + "\n"


def parse_reference(text: str | bytes) -> Reference:
    """The reference that `to_json` wrote.

    Raises:
        InvalidReference: when it is anything else.
    """
    try:
        kept = json.loads(text)
        columns, edges = tuple(kept.pop("columns")), tuple(np.array(each, dtype=float) for each in kept.pop("edges"))
        weekdays = np.array(kept.pop("weekdays"), dtype=np.int64)
        if weekdays.shape != (WEEK, len(columns), PLACES + 1) or len(edges) != len(columns):
            raise ValueError(f"{len(columns)} columns, {len(edges)} lists of edges, counts of shape {weekdays.shape}")
        return Reference(columns, edges, weekdays, **kept)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidReference(f"it holds no reference ({error!r})") from None


def tenths(values: Floats) -> Floats:
    """Edges of bins, ascending: one just below the least value and the tenths of those that are not missing.

    The bin before the first edge is for what is smaller than all of them.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return np.array([np.nextafter(0.0, -np.inf)])
    edges: Floats = np.unique(
        [np.nextafter(known.min(), -np.inf), *np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])]
    )
    return edges


def count(values: Floats, edges: Floats) -> Integers:
    """Values in each bin between the edges, a value on an edge below it, and the missing; shape (PLACES + 1,)."""
    places = np.where(np.isnan(values), MISSING, np.searchsorted(edges, values))
    counts: Integers = np.bincount(places, minlength=PLACES + 1)
    return counts


def weekday(day: Day) -> Day:
    """The weekday, 0 for Monday, of a day (each of an array) counted since 1970 UTC, a Thursday."""
    return (day + 3) % WEEK


def make_reference(
    columns: Sequence[str], times_us: Integers, rows: Floats, users: Array, alerts: Booleans, frauds: Booleans
) -> Reference:
    """The reference of transactions in ordinary weeks, each weekday among them.

    Args:
        columns: names of the columns of `rows`.
        times_us: event times, microseconds since 1970 UTC.
        rows: features and score, shape (transactions, columns).
        users: who pays.
        alerts: a mask of the transactions that the model calls fraud, without having learnt from them.
        frauds: a mask of those that were reported as fraud.
    """
    day = times_us // DAY_US
    edges = tuple(tenths(rows[:, place]) for place in range(len(columns)))
    weekdays = np.zeros((WEEK, len(columns), PLACES + 1), dtype=np.int64)
    for number in range(WEEK):
        chosen = rows[weekday(day) == number]
        weekdays[number] = [count(chosen[:, place], each) for place, each in enumerate(edges)]
    alerted = len(np.unique(np.stack([day, users])[:, alerts], axis=1).T)
    return Reference(
        tuple(columns),
        edges,
        weekdays,
        days=len(np.unique(day)),
        reported=float(frauds.mean()),
        missed=_surely(alerts[frauds], users[frauds], day[frauds]),
        alerted=alerted / len(rows),
    )


def _surely(caught: Booleans, users: Array, day: Integers) -> float:
    """The share that was missed, less two standard errors: a user's frauds of one day count as one theft."""
    if not len(caught):
        return 0.0
    missed, thefts = 1 - caught.mean(), len(np.unique(np.stack([day, users]), axis=1).T)
    return float(max(missed - 2 * np.sqrt(missed * (1 - missed) / thefts), 0.0))
