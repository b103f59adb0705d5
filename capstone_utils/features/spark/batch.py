"""Batch features on Spark: one sort, then online updates row by row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark import Broadcast
from pyspark.sql import DataFrame
from pyspark.sql.types import BooleanType, DoubleType, StructField, StructType

from capstone_utils.errors import CapstoneError
from capstone_utils.features.daily_tables import DailyTable
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.spec import SPEC, FeatureSpec, InvalidSpec
from capstone_utils.transaction import Transaction

NUMBERS = ("transaction_id", "user_id", "amount_cents", "event_time_us")
TYPES = {name: "bigint" if name in NUMBERS else "string" for name in Transaction._fields}
DUPLICATE = "duplicate"


class InvalidHistory(CapstoneError):
    """A frame that is no history of transactions; says which column, what it holds and what would be right."""


def batch_features(
    history: DataFrame, order: Sequence[str], spec: FeatureSpec = SPEC, daily: Mapping[str, DailyTable] | None = None
) -> DataFrame:
    """The spec's features for each row of `history`, with its transaction_id, its place in `order`, and `duplicate`.

    `history` has the columns of `Transaction`, in integer units. `order` names the columns that give the order of
    arrival, such as partition and offset. No two rows of one user may have the same place. A missing feature is NaN,
    never null. The features of a duplicate are all NaN, as in `offline_features`.

    Raises:
        InvalidSpec: for a window over another key than the user.
        InvalidHistory: when a column is missing or of another type. Later, as Spark runs: for a null, or for two rows
            of a user at one place.
    """
    check_keys(spec)
    _check(dict(history.dtypes), order)
    tables = history.sparkSession.sparkContext.broadcast(dict(daily or {}))
    fields = [StructField(name, history.schema[name].dataType) for name in _place(order)]
    fields += [StructField(name, DoubleType()) for name in spec.names]
    fields += [StructField(DUPLICATE, BooleanType())]
    by_user = history.select(*dict.fromkeys((*Transaction._fields, *order))).repartition("user_id")
    in_order = by_user.sortWithinPartitions("user_id", *order)
    return in_order.mapInArrow(_Walk(tuple(order), spec, tables), StructType(fields))


def check_keys(spec: FeatureSpec) -> None:
    """Raise InvalidSpec for a window over another key than the user.

    A group by user holds only a share of such a key's transactions.
    """
    for window in spec.windows:
        if window.key != "user_id":
            raise InvalidSpec(f"{window.name}: key={window.key!r}, and Spark's job groups by user_id; use one process")


def _check(column_types: dict[str, str], order: Sequence[str]) -> None:
    if not order:
        raise InvalidHistory("order=() is empty; it should name the columns that give the order of arrival")
    for name in (*Transaction._fields, *order):
        if name not in column_types:
            raise InvalidHistory(f"the column {name} is missing; there are {', '.join(column_types)}")
        if name in TYPES and column_types[name] != TYPES[name]:
            raise InvalidHistory(f"the column {name} is {column_types[name]}; it should be {TYPES[name]}")


class _Walk:
    """A Python worker's work on its rows, sorted by user and arrival."""

    def __init__(self, order: tuple[str, ...], spec: FeatureSpec, daily: Broadcast[dict[str, DailyTable]]) -> None:
        self._order, self._spec, self._daily = order, spec, daily

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        online = OnlineFeatures(self._spec, self._daily.value)
        before: tuple[Any, ...] = ()
        for batch in batches:
            rows = []
            places = zip(*_columns(batch, ("user_id", *self._order)), strict=True)
            transactions = map(Transaction._make, zip(*_columns(batch, Transaction._fields), strict=True))
            for place, transaction in zip(places, transactions, strict=True):
                if place == before:
                    raise InvalidHistory(f"user_id={place[0]} has two rows at {self._order}={place[1:]}")
                if place[:1] != before[:1]:
                    online.users.clear()  # the state of one user at a time is enough
                before = place
                rows.append(online.update(transaction))
            yield self._features(batch, rows)

    def _features(self, batch: pa.RecordBatch, rows: list[tuple[float, ...] | None]) -> pa.RecordBatch:
        names = _place(self._order)
        missing = (np.nan,) * len(self._spec.names)
        values = np.array([missing if row is None else row for row in rows]).reshape(len(rows), len(missing))
        columns = [batch.column(name) for name in names]
        columns += [pa.array(column) for column in values.T]  # from numpy, a NaN stays a NaN and becomes no null
        columns += [pa.array([row is None for row in rows])]
        return pa.RecordBatch.from_arrays(columns, names=[*names, *self._spec.names, DUPLICATE])


def _place(order: Sequence[str]) -> list[str]:
    """The columns that identify a row of features; `order` may name a transaction's own fields, too."""
    return list(dict.fromkeys(("transaction_id", *order)))


def _columns(batch: pa.RecordBatch, names: Sequence[str]) -> list[list[Any]]:
    for name in names:
        if batch.column(name).null_count:
            raise InvalidHistory(f"the column {name} holds a null; every field of a transaction is needed")
    return [batch.column(name).to_pylist() for name in names]
