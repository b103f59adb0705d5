"""The enriched transactions: raw fields, features and the labels that have arrived, as one frame and one CSV file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import starmap
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from capstone_utils.features.daily_tables import daily_tables
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.spec import SECOND_US, SPEC, FeatureSpec
from capstone_utils.files import replaced
from capstone_utils.ingestion.labels import labels_known_by
from capstone_utils.transaction import Transaction

RAW_COLUMNS = ("transaction_id", "user_id", "amount", "timestamp", "location", "merchant", "device")
TEXT_COLUMNS = ("location", "merchant", "device")
LABEL_COLUMNS = ("is_fraud", "label_known_at")


class InvalidEnrichedFile(ValueError):
    """A file that does not hold enriched transactions; says which columns or rows are wrong."""


def enrich(
    transactions: pd.DataFrame, features: pd.DataFrame, labels: pd.DataFrame, spec: FeatureSpec = SPEC
) -> pd.DataFrame:
    """One row a transaction, in event-time order: raw wire fields, features, and labels known at the stream's end.

    `transactions` (integer units) and `features` share their row order. `is_fraud` is 1.0, 0.0 or NaN while the
    label has not arrived; `label_known_at` is in epoch seconds.
    """
    known = labels_known_by(labels, int(transactions["event_time_us"].max())).set_index("transaction_id")
    known = known.reindex(transactions["transaction_id"])
    raw = transactions.assign(
        amount=transactions["amount_cents"] / 100, timestamp=transactions["event_time_us"] / SECOND_US
    )[list(RAW_COLUMNS)]
    made = features[[name for name in spec.names if name not in RAW_COLUMNS]]
    frame = pd.concat([raw.reset_index(drop=True), made.reset_index(drop=True)], axis=1)
    frame["is_fraud"] = known["is_fraud"].astype(float).to_numpy()
    frame["label_known_at"] = known["known_at_us"].to_numpy(dtype=float) / SECOND_US
    return frame.sort_values("timestamp", kind="stable", ignore_index=True)


def enriched_history(transactions: pd.DataFrame, labels: pd.DataFrame, spec: FeatureSpec = SPEC) -> pd.DataFrame:
    """The enriched frame of a whole history: its batch tables, its features and the labels that had arrived."""
    features = offline_features(transactions, spec, daily_tables(transactions, labels))
    return enrich(transactions, features, labels, spec)


def write_enriched(frame: pd.DataFrame, path: Path) -> None:
    """Write the CSV file whole or not at all; every float is written so that it reads back bit for bit."""
    with replaced(path) as partial:
        frame.to_csv(partial, index=False)


def read_enriched(path: Path, spec: FeatureSpec = SPEC) -> pd.DataFrame:
    """The frame of a CSV file that `write_enriched` wrote.

    Raises:
        InvalidEnrichedFile: when columns of the spec are missing or rows are out of event-time order.
    """
    frame = _read_csv(path)
    missing = [name for name in (*RAW_COLUMNS, *spec.names, *LABEL_COLUMNS) if name not in frame]
    if missing:
        raise InvalidEnrichedFile(f"{path.name} lacks the columns {missing}; run notebook 2 to make it again")
    if not np.all(np.diff(frame["timestamp"]) >= 0):
        raise InvalidEnrichedFile(f"{path.name} is not in event-time order; run notebook 2 to make it again")
    return frame


def _read_csv(path: Path) -> pd.DataFrame:
    """The file's frame, every float bit for bit, every text as it stands there: NA, 0042 and true are texts too.

    Arrow reads it, because pandas ends a text at a NUL character.
    """
    table = csv.read_csv(
        path,
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(TEXT_COLUMNS, pa.string()), strings_can_be_null=False, null_values=[""]
        ),
    )
    empty = [pa.types.is_null(kind) for kind in table.schema.types]  # as of labels, when none has arrived
    fields = [field.with_type(pa.float64()) if null else field for field, null in zip(table.schema, empty, strict=True)]
    return table.cast(pa.schema(fields)).to_pandas()


def transactions_in(frame: pd.DataFrame) -> Iterator[Transaction]:
    """The raw transactions of an enriched frame, row by row."""
    raw = frame.assign(
        amount_cents=(frame["amount"] * 100).round().astype(np.int64),
        event_time_us=(frame["timestamp"] * SECOND_US).round().astype(np.int64),
    )
    return starmap(Transaction, zip(*(raw[field].tolist() for field in Transaction._fields), strict=True))
