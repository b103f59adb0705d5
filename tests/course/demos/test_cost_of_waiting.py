"""What waiting costs, on frauds few enough to reckon by hand."""

import pandas as pd
import pytest

from capstone_utils.course.demos.cost_of_waiting import minutes_unseen, money_lost_unseen
from capstone_utils.ingestion.simulation.simulator import Simulation, SimulatorConfig

MIDNIGHT_US = 1_767_225_600_000_000  # 2026-01-01T00:00Z
HOUR, DAY = 60, 24 * 60


@pytest.fixture
def stream():
    """Two cards:

    card 1   23:00 100.00     23:30 50.00     next day 00:30 25.00     09:00 8.00 (the customer's own)
    card 2   23:30 200.00     (eight days later, a case of its own) 10:00 10.00     10:30 1.00
    """
    rows = [
        (1, 1, 23 * HOUR, 100_00, "stolen"),
        (2, 1, 23 * HOUR + 30, 50_00, "stolen"),
        (3, 2, 23 * HOUR + 30, 200_00, "stolen"),
        (4, 1, DAY + 30, 25_00, "stolen"),
        (5, 1, DAY + 9 * HOUR, 8_00, "legitimate"),
        (6, 2, 8 * DAY + 10 * HOUR, 10_00, "stolen"),
        (7, 2, 8 * DAY + 10 * HOUR + 30, 1_00, "stolen"),
    ]
    table = pd.DataFrame(rows, columns=["transaction_id", "user_id", "minute", "amount_cents", "scenario"])
    table["event_time_us"] = MIDNIGHT_US + 60_000_000 * table["minute"]
    return Simulation(
        SimulatorConfig(),
        transactions=table[["transaction_id", "user_id", "event_time_us", "amount_cents"]],
        labels=pd.DataFrame(),
        truth=table[["transaction_id", "scenario"]],
    )


@pytest.mark.parametrize(
    ("every_minutes", "minutes"),
    [
        (DAY, [60, 30, 30, DAY - 30, 14 * HOUR, 13 * HOUR + 30]),
        (HOUR, [60, 30, 30, 30, 60, 30]),  # a fraud at the very moment of a check waits for the next
        (0, [0, 0, 0, 0, 0, 0]),
    ],
)
def test_a_fraud_is_unseen_until_the_next_check(stream, every_minutes, minutes):
    assert minutes_unseen(stream, every_minutes).tolist() == minutes


@pytest.mark.parametrize(
    ("every_minutes", "lost"),
    [
        (DAY, 50 + 1),  # card 1 is blocked at midnight; each case's first fraud is lost whatever the schedule
        (2 * DAY, 50 + 25 + 1),  # blocked a day later
        (HOUR, 50 + 1),
        (15, 0),
        (0, 0),
    ],
)
def test_what_is_taken_after_a_card_s_first_fraud_until_the_check_is_lost(stream, every_minutes, lost):
    assert money_lost_unseen(stream, every_minutes) == lost
