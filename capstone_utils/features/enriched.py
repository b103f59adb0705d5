"""Enriched transactions as one frame and one CSV file.

They hold raw fields, features and the labels that have arrived.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import starmap
from pathlib import Path

import numpy as np
import pandas as pd

from capstone_utils.errors import CapstoneError
from capstone_utils.features.daily_tables import daily_tables
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.spec import SPEC, FeatureSpec
from capstone_utils.files import replaced
from capstone_utils.ingestion.labels import labels_known_by
from capstone_utils.transaction import SECOND_US, Transaction

RAW_COLUMNS = ("transaction_id", "user_id", "amount", "timestamp", "location", "merchant", "device")
TEXT_COLUMNS = ("location", "merchant", "device")
LABEL_COLUMNS = ("is_fraud", "label_known_at")
COLUMN_TYPES = {"timestamp": float} | dict.fromkeys(TEXT_COLUMNS, str)  # NA, 0042 and true are texts too
ESCAPES = {"\0": "\x1b0", "\x1b": "\x1b1"}  # pandas would end a text at a NUL


class InvalidEnrichedFile(CapstoneError):
    """A file that does not hold enriched transactions; says which columns or rows are wrong."""


def enrich(
    transactions: pd.DataFrame, features: pd.DataFrame, labels: pd.DataFrame, spec: FeatureSpec = SPEC
) -> pd.DataFrame:
    """One row per transaction in event-time order: raw fields, features, arrived labels.

    The labels are those known at the stream's end.

    `transactions` (integer units) and `features` share their row order. `is_fraud` is 1.0 or 0.0, or NaN while the
    label has not arrived. `label_known_at` is in epoch seconds.
    """
    known = labels_known_by(labels, int(transactions["event_time_us"].max())).set_index("transaction_id")
    known = known.reindex(transactions["transaction_id"])
    raw = transactions.assign(
        amount=transactions["amount_cents"] / 100, timestamp=transactions["event_time_us"] / SECOND_US
    )[list(RAW_COLUMNS)]
    feature_columns = features[[name for name in spec.names if name not in RAW_COLUMNS]]
    frame = pd.concat([raw.reset_index(drop=True), feature_columns.reset_index(drop=True)], axis=1)
    frame["is_fraud"] = known["is_fraud"].astype(float).to_numpy()
    frame["label_known_at"] = known["known_at_us"].to_numpy(dtype=float) / SECOND_US
    return frame.sort_values("timestamp", kind="stable", ignore_index=True)


def enriched_history(transactions: pd.DataFrame, labels: pd.DataFrame, spec: FeatureSpec = SPEC) -> pd.DataFrame:
    """The enriched frame of a whole history, with its own batch tables."""
    features = offline_features(transactions, spec, daily_tables(transactions, labels))
    return enrich(transactions, features, labels, spec)


def write_enriched(frame: pd.DataFrame, path: Path) -> None:
    """Write the CSV file, whole or not at all. Every float and every text reads back bit for bit."""
    escaped = {name: frame[name].str.translate(str.maketrans(ESCAPES)) for name in TEXT_COLUMNS}
    with replaced(path) as partial:
        frame.assign(**escaped).to_csv(partial, index=False, lineterminator="\r\n")  # so texts with one are quoted


def read_enriched(path: Path, spec: FeatureSpec = SPEC) -> pd.DataFrame:
    """The frame of a CSV file that `write_enriched` wrote.

    Raises:
        InvalidEnrichedFile: when it is no CSV file, or columns of the spec are missing, or rows are out of event-time
            order.
    """
    try:
        frame = pd.read_csv(path, float_precision="round_trip", dtype=COLUMN_TYPES, keep_default_na=False, na_values="")
    except ValueError as error:
        raise InvalidEnrichedFile(f"{path.name} cannot be read ({error}); run notebook 2 to make it again") from error
    missing = [name for name in (*RAW_COLUMNS, *spec.names, *LABEL_COLUMNS) if name not in frame]
    if missing:
        raise InvalidEnrichedFile(f"{path.name} lacks the columns {missing}; run notebook 2 to make it again")
    if not np.all(np.diff(frame["timestamp"]) >= 0):
        raise InvalidEnrichedFile(f"{path.name} is not in event-time order; run notebook 2 to make it again")
    for name in TEXT_COLUMNS:
        for plain, escaped in ESCAPES.items():
            frame[name] = frame[name].str.replace(escaped, plain, regex=False)
    return frame


def transactions_in(frame: pd.DataFrame) -> Iterator[Transaction]:
    """The raw transactions of an enriched frame, row by row."""
    raw = frame.assign(
        amount_cents=(frame["amount"] * 100).round().astype(np.int64),
        event_time_us=(frame["timestamp"] * SECOND_US).round().astype(np.int64),
    )
    return starmap(Transaction, zip(*(raw[field].tolist() for field in Transaction._fields), strict=True))
