"""Batch tables: what was known before the day, and nothing of the day itself."""

import math

import numpy as np
import pandas as pd
import pytest

from capstone_utils.features.daily_tables import (
    BASE_RATE,
    PRIOR_TRANSACTIONS,
    DailyTable,
    InvalidDailyTables,
    merchant_risk,
    read_daily,
    user_profile,
    write_daily,
)
from capstone_utils.transaction import DAY_US

DAY = 20_000


def history(rows):
    """Transactions of (day, user, merchant) at noon."""
    frame = pd.DataFrame(rows, columns=["day", "user_id", "merchant"])
    return frame.assign(transaction_id=range(len(frame)), event_time_us=(DAY + frame["day"]) * DAY_US + DAY_US // 2)


def labels(frame, fraud):
    """Labels: `fraud` maps a transaction_id to the day on which it is reported, at noon; the rest after a week."""
    known = frame["event_time_us"] + 7 * DAY_US
    for number, day in fraud.items():
        known.iloc[number] = (DAY + day) * DAY_US + DAY_US // 2
    return pd.DataFrame(
        {
            "transaction_id": frame["transaction_id"],
            "is_fraud": frame["transaction_id"].isin(fraud),
            "known_at_us": known,
        }
    )


def risk_of(table, day, merchant="M"):
    return table.lookup((DAY + day) * DAY_US + 1, merchant)


def smoothed(reported, count):
    return (reported + PRIOR_TRANSACTIONS * BASE_RATE) / (count + PRIOR_TRANSACTIONS)


def test_a_report_counts_from_the_day_after_it_arrives():
    frame = history([(0, 1, "M"), (0, 2, "M"), (5, 3, "M")])
    table = merchant_risk(frame, labels(frame, {0: 2}))
    assert [risk_of(table, day) for day in (1, 2, 3)] == [smoothed(0, 2), smoothed(0, 2), smoothed(1, 2)]


def test_a_report_leaves_with_its_transaction():
    frame = history([(0, 1, "M"), (30, 1, "M")])
    table = merchant_risk(frame, labels(frame, {0: 2}), days=14)
    assert risk_of(table, 14) == smoothed(1, 1)
    assert risk_of(table, 15) == smoothed(0, 0)


def test_a_report_that_comes_after_its_window_is_never_counted():
    frame = history([(0, 1, "M"), (30, 1, "M")])
    table = merchant_risk(frame, labels(frame, {0: 20}), days=14)
    assert np.allclose(table.values[:, 0] <= smoothed(0, 0), True)


def test_the_day_itself_is_not_seen():
    frame = history([(0, 1, "M"), (1, 1, "M"), (1, 1, "M")])
    profile = user_profile(frame, days=14)
    assert profile.lookup((DAY + 1) * DAY_US, 1) == 1 / 14


def test_what_comes_later_changes_no_earlier_day():
    rows = [(day, day % 3, "MN"[day % 2]) for day in range(20)]
    frame = history(rows)
    whole = merchant_risk(frame, labels(frame, {4: 6, 12: 13}))
    early = history(rows[:10])
    part = merchant_risk(early, labels(early, {4: 6}))
    assert np.array_equal(whole.values[:10], part.values[:10])


@pytest.mark.parametrize(("day", "expected"), [(-1, math.nan), (0, 1.0), (1, 2.0), (2, 2.0), (3, 2.0), (4, math.nan)])
def test_a_missing_day_uses_the_last_row_until_it_is_stale(day, expected):
    table = DailyTable(DAY, np.array([[1.0], [2.0]]), {"M": 0}, max_staleness_days=2)
    assert risk_of(table, day) == pytest.approx(expected, nan_ok=True)


def test_many_look_ups_equal_single_ones():
    table = DailyTable(DAY, np.array([[1.0, 3.0], [2.0, 4.0]]), {"M": 0, "N": 1})
    days = np.array([-1, 0, 1, 3, 9, 0])
    keys = pd.Series(["M", "N", "M", "N", "M", "unknown"])
    single = [risk_of(table, day, key) for day, key in zip(days, keys, strict=True)]
    np.testing.assert_array_equal(table.lookup_many((DAY + days) * DAY_US + 1, keys), single)


def test_a_file_that_was_cut_off_says_what_writes_it_anew(tmp_path):
    path = tmp_path / "daily.npz"
    write_daily({"profile": user_profile(history([(0, 1, "M")]))}, path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(InvalidDailyTables, match=r"daily\.npz holds no whole batch tables .* notebook 2 writes them"):
        read_daily(path)


def test_tables_come_back_from_their_file_as_they_went(tmp_path):
    frame = history([(0, 1, "Café"), (1, 2, "M")])
    tables = {"merchant_risk": merchant_risk(frame, labels(frame, {0: 1})), "profile": user_profile(frame)}
    write_daily(tables, tmp_path / "daily.npz")
    found = read_daily(tmp_path / "daily.npz")
    for name, table in tables.items():
        assert found[name].columns == table.columns
        assert found[name].first_day == table.first_day
        np.testing.assert_array_equal(found[name].values, table.values)
