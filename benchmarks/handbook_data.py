"""The public benchmark's transactions and features: by our spec and by pandas.

The data are the simulated transactions of the fraud handbook of ULB's Machine Learning Group. Source: Le Borgne,
Siblini, Lebichot, Bontempi: Reproducible Machine Learning for Credit Card Fraud Detection, chapter 3.

The file holds raw fields only. So its features are computed a second time with pandas' rolling windows, as that chapter
describes them. Per customer: the number and mean amount of transactions over 1, 7 and 30 days. Per terminal: their
number and share of fraud over 1, 7 and 30 days that ended 7 days ago, when labels are known. Of the moment: flags for
weekend and for night (hours 0 to 6).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.parity import parity_report
from capstone_utils.features.spec import FeatureSpec, State, Window
from capstone_utils.ingestion.frames import transactions_of

DAY_SECONDS = 86_400
LABEL_DELAY_DAYS = 7
WINDOW_DAYS = (1, 7, 30)


def _customer(days: int) -> tuple[Window, ...]:
    name, seconds = f"{days}DAY_WINDOW", days * DAY_SECONDS
    return (
        Window(f"CUSTOMER_ID_NB_TX_{name}", "count", "amount_cents", seconds),
        Window(f"CUSTOMER_ID_AVG_AMOUNT_{name}", "mean", "amount_cents", seconds),
    )


def _terminal(days: int) -> tuple[Window, ...]:
    name, seconds, delay = f"{days}DAY_WINDOW", days * DAY_SECONDS, LABEL_DELAY_DAYS * DAY_SECONDS
    return (
        Window(f"TERMINAL_ID_NB_TX_{name}", "count", "amount_cents", seconds, "merchant", delay),
        Window(f"TERMINAL_ID_RISK_{name}", "fraud_rate", "is_fraud", seconds, "merchant", delay),
    )


HANDBOOK = FeatureSpec(
    (
        State("TX_AMOUNT", "amount"),
        State("TX_DURING_WEEKEND", "is_weekend"),
        State("TX_DURING_NIGHT", "is_night"),
        *(window for days in WINDOW_DAYS for window in _customer(days)),
        *(window for days in WINDOW_DAYS for window in _terminal(days)),
    )
)


def read_transactions(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The file as transactions in our columns, and labels.

    Each label is known exactly `LABEL_DELAY_DAYS` after its transaction.

    A customer is a user, a terminal is a merchant; times are read as UTC. `scenario` in the labels is for evaluation
    only.
    """
    raw = pd.read_parquet(path)
    transactions = pd.DataFrame(
        {
            "transaction_id": raw["TRANSACTION_ID"].astype(np.int64),
            "user_id": raw["CUSTOMER_ID"].astype(np.int64),
            "amount_cents": (raw["TX_AMOUNT"] * 100).round().astype(np.int64),
            "event_time_us": raw["TX_DATETIME"].astype("datetime64[us]").astype(np.int64),
            "location": "nowhere",
            "merchant": raw["TERMINAL_ID"].astype(str),
            "device": "card",
        }
    )
    labels = transactions[["transaction_id"]].assign(
        is_fraud=raw["TX_FRAUD"] == 1,
        known_at_us=transactions["event_time_us"] + LABEL_DELAY_DAYS * DAY_SECONDS * 1_000_000,
        scenario=raw["TX_FRAUD_SCENARIO"],
    )
    return transactions, labels


def handbook_features(transactions: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """The features of every transaction by the offline frame, indexed by transaction_id."""
    return offline_features(transactions, HANDBOOK, labels=labels).set_index(transactions["transaction_id"])


def online_features(transactions: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """The same by the online state; each fraud is reported when its label is known."""
    online = OnlineFeatures(HANDBOOK)
    log = list(transactions_of(transactions))
    known_at = labels["known_at_us"].to_numpy()
    fraud = np.flatnonzero(labels["is_fraud"])
    rows, reported = [], 0
    for transaction in log:
        while reported < len(fraud) and known_at[fraud[reported]] <= transaction.event_time_us:
            online.report_fraud(log[fraud[reported]], int(known_at[fraud[reported]]))
            reported += 1
        rows.append(online.update(transaction))
    return pd.DataFrame(rows, columns=list(HANDBOOK.names), index=transactions["transaction_id"])


def pandas_features(transactions: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """The same by pandas' rolling windows, closed on the right (the default), as the handbook describes them.

    Sums are taken over whole cents, which floats hold exactly. Where a terminal had no transaction the handbook writes
    a risk of 0, and so does this.
    """
    when = pd.to_datetime(transactions["event_time_us"], unit="us")
    frame = transactions.assign(when=when, fraud=labels["is_fraud"].to_numpy().astype(float))
    features = {
        "TX_AMOUNT": frame["amount_cents"] / 100,
        "TX_DURING_WEEKEND": (when.dt.weekday >= 5).astype(float),
        "TX_DURING_NIGHT": (when.dt.hour <= 6).astype(float),
    }
    for days in WINDOW_DAYS:
        name = f"{days}DAY_WINDOW"
        cents, count = _rolling(frame, "user_id", "amount_cents", days)
        features[f"CUSTOMER_ID_NB_TX_{name}"] = count
        features[f"CUSTOMER_ID_AVG_AMOUNT_{name}"] = cents / count / 100
    delay_fraud, delay_count = _rolling(frame, "merchant", "fraud", LABEL_DELAY_DAYS)
    for days in WINDOW_DAYS:
        fraud, count = _rolling(frame, "merchant", "fraud", LABEL_DELAY_DAYS + days)
        features[f"TERMINAL_ID_NB_TX_{days}DAY_WINDOW"] = count - delay_count
        features[f"TERMINAL_ID_RISK_{days}DAY_WINDOW"] = ((fraud - delay_fraud) / (count - delay_count)).fillna(0)
    return pd.DataFrame(features).set_index(transactions["transaction_id"])


def _rolling(frame: pd.DataFrame, key: str, column: str, days: int) -> tuple[pd.Series, pd.Series]:
    """Sum and count of the column over the key's last `days`, in the frame's order."""
    ordered = frame.sort_values(key, kind="stable")
    windows = ordered.groupby(key).rolling(f"{days}D", on="when")[column]
    total, count = (pd.Series(column.to_numpy(), index=ordered.index) for column in (windows.sum(), windows.count()))
    return total.reindex(frame.index), count.reindex(frame.index)


def compare(features: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per feature: mismatches of offline and online against pandas, to the bit."""
    risks = {name: 0.0 for name in HANDBOOK.names if "_RISK_" in name}  # ours: missing where there was no transaction
    against = {name: features[name].fillna(risks) for name in ("offline", "online")}
    reports = {name: parity_report(frame, features["pandas"], HANDBOOK.names) for name, frame in against.items()}
    table = reports["offline"][["feature", "rows"]].copy()
    for name, report in reports.items():
        table[f"mismatches_{name}"] = report["mismatches"]
    return table
