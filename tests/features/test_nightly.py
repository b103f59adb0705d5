"""Batch tables made each night say what those made later say of the same day, and a door takes them up as it works."""

import math

import numpy as np
import pandas as pd
import pytest

from capstone_utils.errors import InvalidValue
from capstone_utils.features import daily_reload
from capstone_utils.features.daily_reload import DailyReloader, last_day
from capstone_utils.features.daily_tables import daily_tables, write_daily
from capstone_utils.features.nightly import nightly_tables
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.simulator import SimulatorConfig, simulate
from capstone_utils.transaction import DAY_US


@pytest.fixture(scope="module")
def past():
    return simulate(SimulatorConfig(seed=9, customers=150, days=21))


def first_day(past):
    return past.config.start_us() // DAY_US


@pytest.mark.parametrize("after", [8, 15, 20])
def test_tables_made_at_night_are_those_made_later_of_that_day(past, after):
    day = first_day(past) + after
    then, later = (
        nightly_tables(past.transactions, past.labels, day),
        daily_tables(past.transactions, past.labels),
    )
    assert last_day(then) == day
    today = past.transactions[past.transactions["event_time_us"] // DAY_US == day]
    for name, key in (("merchant_risk", "merchant"), ("user_daily_transactions", "user_id")):
        known = today[today[key].isin(then[name].columns)]
        assert len(known) > 0.8 * len(today)
        times = known["event_time_us"].to_numpy()
        values = [tables[name].lookup_many(times, known[key]) for tables in (then, later)]
        np.testing.assert_array_equal(*values)
        assert not np.isnan(values[0]).any()


def test_what_is_sent_twice_or_said_again_counts_once(past):
    day = first_day(past) + 15
    twice = pd.concat([past.transactions, past.transactions.tail(3000), past.transactions.head(500)])
    known = past.labels[past.labels["is_fraud"]]
    again = pd.concat([known, known.assign(known_at_us=known["known_at_us"] + 1)])
    once, more = nightly_tables(past.transactions, known, day), nightly_tables(twice, again, day)
    for name, table in once.items():
        np.testing.assert_array_equal(table.values, more[name].values)


def test_without_payments_of_the_day_before_there_are_no_tables(past):
    day = first_day(past)
    for wanted, sentence in ((day, "there is none before it"), (day + 30, f"the last one is of day {day + 20}")):
        with pytest.raises(InvalidValue, match=sentence):
            nightly_tables(past.transactions, past.labels, wanted)


def test_other_tables_are_looked_up_from_the_next_transaction_on_and_the_state_stays(past):
    payments = list(transactions_of(past.transactions.tail(3)))
    place = SPEC.names.index("merchant_risk")
    online = OnlineFeatures(SPEC)
    assert math.isnan(online.update(payments[0])[place])
    online.use_daily(daily_tables(past.transactions, past.labels))
    assert not math.isnan(online.update(payments[1])[place])
    assert online.update(payments[0]) is None


def test_a_file_that_is_replaced_is_taken_up_and_a_damaged_one_is_counted(past, tmp_path, wait_until, monkeypatch):
    monkeypatch.setattr(daily_reload, "LOOK_SECONDS", 0.01)
    path, found, sound = tmp_path / "daily.npz", [], []
    reloader = DailyReloader(path, found.append, sound.append)
    try:
        for after in (8, 9):
            write_daily(nightly_tables(past.transactions, past.labels, first_day(past) + after), path)
            wait_until(lambda count=after - 7: len(sound) == count)
        broken = tmp_path / "broken"
        broken.write_bytes(path.read_bytes()[:-50])
        broken.replace(path)
        wait_until(lambda: len(sound) == 3)
    finally:
        reloader.stop()
    assert sound == [True, True, False]
    assert [last_day(tables) - first_day(past) for tables in found] == [8, 9]
