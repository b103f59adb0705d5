"""The nightly batch tables: made from the log and the labels that had arrived, effective on the next day."""

from __future__ import annotations

import pandas as pd

from capstone_utils.errors import InvalidValue
from capstone_utils.features.daily_tables import DailyTable, daily_tables
from capstone_utils.transaction import DAY_US


def nightly_tables(transactions: pd.DataFrame, labels: pd.DataFrame, day: int) -> dict[str, DailyTable]:
    """The tables whose last row is effective on `day` (days since 1970 UTC), by feature name.

    `transactions` are in integer units, duplicates allowed; `labels` holds transaction_id, is_fraud and known_at_us, of
    several on one transaction the one known last counts. What happened, or became known, on `day` or later is left
    out. So made each night, the tables say what one made later from everything says of the same days.

    Raises:
        InvalidValue: when the day before has no transaction: a table that ends earlier would not be effective on `day`.
    """
    past = transactions[transactions["event_time_us"] < day * DAY_US].drop_duplicates("transaction_id")
    last = int(past["event_time_us"].max()) // DAY_US if len(past) else None
    if last != day - 1:
        when = f"the last one is of day {last}" if last is not None else "there is none before it"
        raise InvalidValue(
            f"day={day} needs transactions of day {day - 1}, and {when}; is the log still being written?"
        )
    known = labels[(labels["known_at_us"] < day * DAY_US) & labels["transaction_id"].isin(past["transaction_id"])]
    known = known.sort_values(["known_at_us", "is_fraud"], kind="stable").drop_duplicates("transaction_id", keep="last")
    return daily_tables(past, known)
