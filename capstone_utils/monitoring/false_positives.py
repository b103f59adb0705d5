"""False alarms by what honest customers were doing, which only the simulator knows."""

from __future__ import annotations

import pandas as pd

from capstone_utils.ingestion.arrays import Booleans


def false_positive_rates(truth: pd.DataFrame, alerts: Booleans) -> pd.Series:
    """The share of legitimate payments called fraud, by what the simulator knows the customer was doing; ascending."""
    legitimate = (truth["scenario"] == "legitimate").to_numpy()
    doing = truth["hard_negative"].astype(str).replace("none", "everyday payments").str.replace("_", " ")
    return pd.Series(alerts[legitimate]).groupby(doing[legitimate].to_numpy()).mean().sort_values()
