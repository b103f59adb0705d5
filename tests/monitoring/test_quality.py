"""Quality as the labels arrive: what is known on a day, and no more."""

import numpy as np
import pandas as pd

from capstone_utils.ingestion.simulation.simulator import Simulation, SimulatorConfig
from capstone_utils.monitoring.quality import false_positive_rates, quality_by_day
from capstone_utils.transaction import DAY_US

DAYS = 10


def stream(fraud_days):
    """One payment at noon of each day; frauds are reported a day later, the rest is presumed legitimate after seven."""
    days = np.arange(DAYS)
    fraud = np.isin(days, fraud_days)
    times = days * DAY_US + DAY_US // 2
    transactions = pd.DataFrame({"transaction_id": days + 1, "event_time_us": times})
    known = times + np.where(fraud, 1, 7) * DAY_US
    labels = pd.DataFrame({"transaction_id": days + 1, "is_fraud": fraud, "known_at_us": known})
    return Simulation(SimulatorConfig(), transactions, labels, pd.DataFrame())


def test_precision_waits_for_all_labels_and_recall_does_not():
    alerts = np.isin(np.arange(DAYS), [0, 1, 8])
    quality = quality_by_day(stream([0, 7, 8]), alerts, today_us=DAYS * DAY_US)
    assert quality["precision"].iloc[:2].tolist() == [1.0, 0.0]
    assert quality["precision"].iloc[3:].isna().all()
    assert (quality["recall"][7], quality["recall"][8]) == (0.0, 1.0)
    assert quality["labels_known"].tolist() == [1, 1, 1, 0, 0, 0, 0, 1, 1, 0]


def test_the_wronged_are_counted_among_the_legitimate_only():
    truth = pd.DataFrame(
        {
            "scenario": ["legitimate", "legitimate", "legitimate", "cloned_card"],
            "hard_negative": ["none", "gift_season", "gift_season", "none"],
        }
    )
    rates = false_positive_rates(truth, np.array([False, True, False, True]))
    assert rates.to_dict() == {"everyday payments": 0.0, "gift season": 0.5}
