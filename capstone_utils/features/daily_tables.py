"""Slow features: batch tables made once a day from the days before."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from capstone_utils.errors import CapstoneError
from capstone_utils.ingestion.arrays import Array, Floats, Integers, write_arrays
from capstone_utils.transaction import DAY_US

RISK_DAYS = 14
PROFILE_DAYS = 14
PRIOR_TRANSACTIONS = 20  # a merchant's risk starts as if this many transactions had been seen at the base rate
BASE_RATE = 0.005
MAX_STALENESS_DAYS = 2


class InvalidDailyTables(CapstoneError):
    """A file that does not hold whole batch tables."""


@dataclass(frozen=True)
class DailyTable:
    """Values by effective day and key.

    Day d is the number of days since 1970 UTC. A day without a row uses the last row before it, if that is at most
    `max_staleness_days` old. Beyond that, and for unknown keys, the value is missing (NaN).
    """

    first_day: int
    values: Floats  # shape (days, keys)
    columns: Mapping[Hashable, int]  # key -> column
    max_staleness_days: int = MAX_STALENESS_DAYS

    def lookup(self, event_time_us: int, key: Hashable) -> float:
        """The value that a transaction at `event_time_us` sees for `key`; NaN when missing."""
        day, last, column = event_time_us // DAY_US - self.first_day, len(self.values) - 1, self.columns.get(key)
        if column is None or day < 0 or day > last + self.max_staleness_days:
            return math.nan
        return self.values.item(day if day < last else last, column)

    def lookup_many(self, event_time_us: Integers, keys: pd.Series) -> Floats:
        """`lookup` for each of n times and keys, shape (n,)."""
        codes, unique = pd.factorize(keys)
        column = np.array([self.columns.get(key, -1) for key in unique], dtype=np.int64)[codes]
        day = event_time_us // DAY_US - self.first_day
        row = np.minimum(day, len(self.values) - 1)
        missing = (row < 0) | (day - row > self.max_staleness_days) | (column < 0)
        values = self.values[np.where(missing, 0, row), np.where(missing, 0, column)]
        return np.where(missing, np.nan, values)


def merchant_risk(transactions: pd.DataFrame, labels: pd.DataFrame, days: int = RISK_DAYS) -> DailyTable:
    """The smoothed share of reported fraud at each merchant over the previous `days`, by effective day.

    Row d counts the transactions of days d - days to d - 1. Of these it counts as fraud only those reported before day
    d began. The risk is (reported + prior * base rate) / (transactions + prior), the mean of a Beta posterior.
    """
    codes, merchants = pd.factorize(transactions["merchant"])
    day = (transactions["event_time_us"] // DAY_US).to_numpy()
    first, rows = int(day.min()), int(day.max() - day.min()) + 2
    counts = np.zeros((rows, len(merchants)))
    np.add.at(counts, (day - first, codes), 1.0)

    fraud = labels.loc[labels["is_fraud"], ["transaction_id", "known_at_us"]]
    place = pd.Series(np.arange(len(transactions)), index=transactions["transaction_id"]).loc[fraud["transaction_id"]]
    event_row = day[place] - first
    starts = np.maximum((fraud["known_at_us"] // DAY_US).to_numpy() - first, event_row) + 1
    ends = event_row + days + 1
    in_time = starts < np.minimum(ends, rows)
    change = np.zeros((rows + days + 2, len(merchants)))
    np.add.at(change, (starts[in_time], codes[place][in_time]), 1.0)
    np.add.at(change, (ends[in_time], codes[place][in_time]), -1.0)
    reported = np.cumsum(change, axis=0)[:rows]
    risk = (reported + PRIOR_TRANSACTIONS * BASE_RATE) / (_previous(counts, days) + PRIOR_TRANSACTIONS)
    return DailyTable(first, risk, {merchant: column for column, merchant in enumerate(merchants)})


def user_profile(transactions: pd.DataFrame, days: int = PROFILE_DAYS) -> DailyTable:
    """Each user's mean number of transactions a day over the previous `days`, by effective day."""
    codes, users = pd.factorize(transactions["user_id"])
    day = (transactions["event_time_us"] // DAY_US).to_numpy()
    first, rows = int(day.min()), int(day.max() - day.min()) + 2
    counts = np.zeros((rows, len(users)))
    np.add.at(counts, (day - first, codes), 1.0)
    return DailyTable(first, _previous(counts, days) / days, {int(user): column for column, user in enumerate(users)})


def daily_tables(transactions: pd.DataFrame, labels: pd.DataFrame) -> dict[str, DailyTable]:
    """The batch tables of the spec by feature name, from one history and its labels."""
    return {
        "merchant_risk": merchant_risk(transactions, labels),
        "user_daily_transactions": user_profile(transactions),
    }


def write_daily(tables: Mapping[str, DailyTable], path: Path) -> None:
    """Write the tables to one .npz file, whole or not at all."""
    arrays = {}
    for name, table in tables.items():
        arrays[f"{name}.first_day"] = np.array(table.first_day)
        arrays[f"{name}.values"] = table.values
        arrays[f"{name}.keys"] = np.array(list(table.columns))
    write_arrays(path, arrays)


def read_daily(path: Path) -> dict[str, DailyTable]:
    """The tables by feature name from a file that `write_daily` wrote.

    Raises:
        InvalidDailyTables: when it is another kind of file, or a part of it is missing.
    """
    try:
        return _read(path)
    except (BadZipFile, EOFError, KeyError, ValueError) as error:
        raise InvalidDailyTables(f"{path} holds no whole batch tables ({error}); notebook 2 writes them") from error


def _read(path: Path) -> dict[str, DailyTable]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        names = [key.removesuffix(".values") for key in arrays if key.endswith(".values")]
        return {
            name: DailyTable(
                int(arrays[f"{name}.first_day"]),
                arrays[f"{name}.values"],
                {key: column for column, key in enumerate(arrays[f"{name}.keys"].tolist())},
            )
            for name in names
        }


def _previous(counts: Array, days: int) -> Array:
    """Sums over previous days: row d sums rows d - days to d - 1."""
    total = np.vstack([np.zeros(counts.shape[1]), np.cumsum(counts, axis=0)])
    row = np.arange(len(counts))
    sums: Floats = total[row] - total[np.maximum(row - days, 0)]
    return sums
