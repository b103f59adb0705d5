"""The history that `retrain`, `nightly` and `watch` work on, read from a folder or from the topics themselves."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from capstone_utils.errors import CapstoneError
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.labels import LABEL_DELAY_DAYS, InvalidLabel, Label
from capstone_utils.ingestion.streaming.partition_log import read_topic
from capstone_utils.monitoring.gate.evidence import latest_reports
from capstone_utils.serving.score import SPEC_DIGITS
from capstone_utils.serving.worker.audit import TransactionLog, stream_scores
from capstone_utils.settings import Settings
from capstone_utils.transaction import DAY_SECONDS, DAY_US, SECOND_US


class InvalidHistory(CapstoneError):
    """A folder that holds no history; the message says which file is missing or wrong."""


class History(NamedTuple):
    """Plain tables: transactions in order of arrival and integer units, reports, and features as doors served them.

    `reports` has transaction_id, is_fraud, known_at_us and perhaps `kind`; `served` the spec's features by
    transaction_id, or nothing. From the topics `served` has user_id, seconds, alert (bool) and version as well.
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


def topics_history(settings: Settings) -> History:
    """The history that the topics `transactions`, `labels` and `scores` hold now.

    Transactions that came over HTTP are in no topic but `scores`, without their place and device: they are not in it.
    Scores of another spec are left out. No label names a kind of fraud.

    Raises:
        InvalidHistory: when the topics hold no transaction.
        TopicError, NoBroker: when there is no such topic, no broker.
    """
    where = settings.bootstrap_servers
    transactions = TransactionLog(settings).by_arrival()
    if not transactions:
        raise InvalidHistory(f"the topic {settings.transactions_topic} at {where} holds no transaction yet")
    labels = []
    for record in read_topic(where, settings.labels_topic):
        with contextlib.suppress(InvalidLabel):  # a dead letter, which the feedback process has written and counted
            labels.append(Label.from_record(record.key, record.value, record.timestamp))
    reports = pd.DataFrame(labels, columns=Label._fields)[["transaction_id", "is_fraud", "known_at_us"]]
    scores = [each for each in stream_scores(settings) if each.spec == SPEC.hash[:SPEC_DIGITS]]
    served = pd.DataFrame([each.features for each in scores], columns=list(SPEC.names), dtype=float)
    served["transaction_id"] = [each.transaction_id for each in scores]
    served["user_id"] = [each.user_id for each in scores]
    served["seconds"] = [each.timestamp for each in scores]
    served["alert"] = [each.prediction == "Fraud" for each in scores]
    served["version"] = [each.model_version for each in scores]
    served = served.drop_duplicates("transaction_id").set_index("transaction_id")
    return History(pd.DataFrame(transactions), reports, served)


def settled_rows(history: History, version: str, now_us: int) -> pd.DataFrame:
    """The transactions that a version scored, as far as they are settled at `now_us`, from a history of the topics.

    Columns: the spec's features as they were served, user_id, alert, and is_fraud, 1 where it was reported by then.
    """
    served = history.served
    settled = served["seconds"] < now_us / SECOND_US - LABEL_DELAY_DAYS * DAY_SECONDS
    rows = served[settled & (served["version"] == version)]
    known = latest_reports(history.reports, now_us)
    frauds = known.loc[known["is_fraud"].astype(bool), "transaction_id"]
    return rows.assign(is_fraud=rows.index.isin(frauds).astype(float))


def moment(history: History, day: str | None = None) -> int:
    """Midnight UTC, microseconds since 1970: of a day like 2026-03-09, or the one that ends the history's last day.

    The last day of topics that are still written to is not over; `last_midnight` is what suits them.

    Raises:
        InvalidHistory: for another kind of day.
    """
    if day is None:
        return (int(history.transactions["event_time_us"].max()) // DAY_US + 1) * DAY_US
    try:
        return int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()) * SECOND_US
    except ValueError:
        raise InvalidHistory(f"--as-of {day} is no day like 2026-03-09") from None


def last_midnight(history: History) -> int:
    """The midnight UTC that begins the history's last day, microseconds since 1970."""
    return int(history.transactions["event_time_us"].max()) // DAY_US * DAY_US


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
