"""The history that `retrain` and `nightly` work on, read from a folder."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from capstone_utils.errors import CapstoneError
from capstone_utils.transaction import DAY_US, SECOND_US


class InvalidHistory(CapstoneError):
    """A folder that holds no history; the message says which file is missing or wrong."""


class History(NamedTuple):
    """Plain tables: transactions in order of arrival and integer units, reports, and features as doors served them.

    `reports` has transaction_id, is_fraud, known_at_us and perhaps `kind`; `served` the spec's features by
    transaction_id, or nothing.
    """

    transactions: pd.DataFrame
    reports: pd.DataFrame
    served: pd.DataFrame


def read_history(folder: Path) -> History:
    """The history in transactions.parquet, labels.parquet and, where they are, scores.parquet and truth.parquet.

    `python3 -m capstone_utils simulate` writes such a folder. The simulator's truth only names the kinds of reported
    frauds, as an investigator would.

    Raises:
        InvalidHistory: when a file is missing or cannot be read, or lacks a column.
    """
    transactions = _read(folder / "transactions.parquet", "transaction_id", "user_id", "event_time_us")
    labels = _read(folder / "labels.parquet", "transaction_id", "is_fraud", "known_at_us")
    served = pd.DataFrame()
    if (folder / "scores.parquet").exists():
        served = _read(folder / "scores.parquet", "transaction_id").set_index("transaction_id")
    if "kind" not in labels and (folder / "truth.parquet").exists():
        truth = _read(folder / "truth.parquet", "transaction_id", "scenario").set_index("transaction_id")["scenario"]
        kinds = truth.astype(str).replace("legitimate", "").reindex(labels["transaction_id"]).fillna("")
        labels = labels.assign(kind=kinds.to_numpy())
    return History(transactions, labels, served)


def moment(history: History, day: str | None = None) -> int:
    """Midnight UTC, microseconds since 1970: of a day like 2026-03-09, or the one that ends the history's last day.

    Raises:
        InvalidHistory: for another kind of day.
    """
    if day is None:
        return (int(history.transactions["event_time_us"].max()) // DAY_US + 1) * DAY_US
    try:
        return int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()) * SECOND_US
    except ValueError:
        raise InvalidHistory(f"--as-of {day} is no day like 2026-03-09") from None


def _read(path: Path, *columns: str) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InvalidHistory(
            f"{path} cannot be read ({error}); `python3 -m capstone_utils simulate {path.parent}` writes such a folder"
        ) from error
    if missing := [name for name in columns if name not in frame]:
        raise InvalidHistory(f"{path} lacks the columns {missing}")
    return frame
