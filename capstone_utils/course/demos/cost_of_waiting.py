"""The cost of waiting for the next check, in time and money."""

from __future__ import annotations

import numpy as np
import pandas as pd

from capstone_utils.ingestion.arrays import Floats, Integers
from capstone_utils.ingestion.simulation.simulator import Simulation

MINUTE_US = 60_000_000
CASE_DAYS = 7  # frauds on one card within so many days count as one case


def minutes_unseen(stream: Simulation, every_minutes: int) -> Floats:
    """Minutes from each fraud to the next check, shape (frauds,); a check every 0 minutes sees it at once."""
    times = _frauds(stream)["event_time_us"].to_numpy()
    minutes: Floats = (_next_check(times, every_minutes) - times) / MINUTE_US
    return minutes


def money_lost_unseen(stream: Simulation, every_minutes: int) -> float:
    """The money taken after a card's first fraud and before the check that would have seen it.

    An upper bound of what a schedule can save: each check finds all fraud that happened before it and blocks the card.
    """
    lost = 0
    for _, frauds in _frauds(stream).groupby("user_id"):
        case_start = blocked_at = -1
        for time, cents in zip(frauds["event_time_us"], frauds["amount_cents"], strict=True):
            if case_start < 0 or time - case_start > CASE_DAYS * 24 * 60 * MINUTE_US:
                case_start, blocked_at = time, int(_next_check(np.array([time]), every_minutes)[0])
            elif time < blocked_at:
                lost += cents
    return lost / 100


def _frauds(stream: Simulation) -> pd.DataFrame:
    fraud = stream.truth.loc[stream.truth["scenario"] != "legitimate", "transaction_id"]
    return stream.transactions[stream.transactions["transaction_id"].isin(fraud)]


def _next_check(times_us: Integers, every_minutes: int) -> Integers:
    if every_minutes == 0:
        return times_us
    step = every_minutes * MINUTE_US
    return (times_us // step + 1) * step
