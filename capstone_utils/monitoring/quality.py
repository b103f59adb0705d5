"""Quality of the verdicts, as far as labels have arrived: precision and recall by day, false alarms by behaviour."""

from __future__ import annotations

import numpy as np
import pandas as pd

from capstone_utils.ingestion.arrays import Booleans
from capstone_utils.ingestion.labels import LABEL_DELAY_DAYS, labels_known_by
from capstone_utils.ingestion.simulation.simulator import Simulation
from capstone_utils.transaction import DAY_US


def quality_by_day(stream: Simulation, alerts: Booleans, today_us: int) -> pd.DataFrame:
    """By day of the stream: precision, recall, and the share of labels known on `today_us`; alerts has a row a payment.

    A payment counts as legitimate only a week later, so the precision of a younger day is not known yet (NaN). Its
    recall is among the frauds reported so far: an early estimate, but one that needs no patience.
    """
    known = labels_known_by(stream.labels, today_us).set_index("transaction_id")["is_fraud"]
    day = stream.transactions["event_time_us"] // DAY_US
    frame = pd.DataFrame({"day": day - day.iloc[0], "alert": alerts})
    label = stream.transactions["transaction_id"].map(known)
    frame["known"], frame["fraud"] = label.notna(), label.eq(True)
    frame["caught"] = frame["fraud"] & frame["alert"]
    days = frame.groupby("day").agg({"alert": "sum", "fraud": "sum", "caught": "sum", "known": "mean"})
    complete = days.index < days.index[-1] + 1 - LABEL_DELAY_DAYS
    return pd.DataFrame(
        {
            "precision": (days["caught"] / days["alert"].replace(0, np.nan)).where(complete),
            "recall": days["caught"] / days["fraud"].replace(0, np.nan),
            "labels_known": days["known"],
        }
    )


def false_positive_rates(truth: pd.DataFrame, alerts: Booleans) -> pd.Series:
    """The share of legitimate payments called fraud, by what the simulator knows the customer was doing; ascending."""
    legitimate = (truth["scenario"] == "legitimate").to_numpy()
    doing = truth["hard_negative"].astype(str).replace("none", "everyday payments").str.replace("_", " ")
    return pd.Series(alerts[legitimate]).groupby(doing[legitimate].to_numpy()).mean().sort_values()
