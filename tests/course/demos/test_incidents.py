"""The thieves of the notebooks do what the data card says of card testing."""

import itertools

import pandas as pd
import pytest

from capstone_utils.course.demos.incidents import card_testing, fraud_wave
from capstone_utils.course.materials import COURSE
from capstone_utils.ingestion.simulation.simulator import SimulatorConfig, simulate


@pytest.fixture(scope="module")
def enriched() -> pd.DataFrame:
    frame = simulate(SimulatorConfig(seed=COURSE.seed, customers=60, days=6)).transactions
    return frame.assign(timestamp=frame["event_time_us"] / 1e6, merchant=frame["merchant"].astype(str))


def test_a_burst_is_small_payments_seconds_apart_on_one_card_by_one_unknown_device(enriched):
    burst = list(card_testing(enriched, seed=1, size=10))
    gaps = [(b.event_time_us - a.event_time_us) / 1e6 for a, b in itertools.pairwise(burst)]
    assert all(4 <= gap <= 24 for gap in gaps)
    assert all(50 <= payment.amount_cents <= 1500 for payment in burst)
    assert len({payment.user_id for payment in burst}) == len({payment.device for payment in burst}) == 1
    assert burst[0].device not in set(enriched["device"].astype(str))
    assert len({payment.merchant for payment in burst}) == len({payment.transaction_id for payment in burst}) == 10
    assert burst[0].event_time_us > enriched["event_time_us"].max()


def test_a_wave_begins_each_burst_when_the_clock_says(enriched):
    clock = itertools.count(10**15, 10**12)
    wave = list(itertools.islice(fraud_wave(enriched, lambda: next(clock), size=5), 15))
    assert len({payment.transaction_id for payment in wave}) == 15
    assert [payment.event_time_us // 10**12 for payment in wave[::5]] == [1000, 1001, 1002]
    again = list(itertools.islice(fraud_wave(enriched, lambda: next(clock), size=5), 15))
    assert not {payment.transaction_id for payment in wave} & {payment.transaction_id for payment in again}
