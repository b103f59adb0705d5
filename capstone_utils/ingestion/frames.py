"""Transactions of a frame: of the simulator, or of a file of your own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import starmap

import pandas as pd

from capstone_utils.transaction import Transaction


def transactions_of(frame: pd.DataFrame) -> Iterator[Transaction]:
    """The rows of a frame as `Transaction` objects, in the frame's order.

    Columns as in `Simulation.transactions`: transaction_id, user_id, amount_cents and event_time_us (microseconds since
    1970 UTC) as integers; location, merchant and device as text or categories.
    """
    columns = []
    for name in Transaction._fields:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            texts = column.cat.categories.to_numpy(dtype=object)
            columns.append(texts[column.cat.codes.to_numpy()].tolist())
        else:
            columns.append(column.tolist())
    return starmap(Transaction, zip(*columns, strict=True))
