"""Online and offline are both held against an oracle so naive that it is obviously right."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capstone_utils.features.daily import DailyTable
from capstone_utils.features.offline import offline_features
from capstone_utils.features.online import OnlineFeatures
from capstone_utils.features.parity import parity_report
from capstone_utils.features.spec import DAY_US, SECOND_US, SPEC, Daily, Window
from capstone_utils.ingestion.places import distance_km
from capstone_utils.transaction import Transaction

START_US = 1_767_225_600 * SECOND_US  # a midnight
RISK = DailyTable(START_US // DAY_US, np.array([[0.1, 0.2], [0.3, 0.4]]), {"Amazon": 0, "Walmart": 1})
PROFILE = DailyTable(START_US // DAY_US + 1, np.array([[2.5]]), {1: 0})
DAILY = {"merchant_risk": RISK, "user_daily_transactions": PROFILE}


def naive_features(log: list[Transaction]) -> list[dict[str, float] | None]:
    """The features of each transaction of the arrival log, recomputed from everything that arrived before it."""
    answers: list[dict[str, float] | None] = []
    kept: list[Transaction] = []  # what changed state: neither duplicate nor too late
    for now in log:
        mine = [t for t in kept if t.user_id == now.user_id]
        latest = max((t.event_time_us for t in mine), default=-(10**18))
        if any(t.transaction_id == now.transaction_id and t.event_time_us > latest - SPEC.retention_us for t in mine):
            answers.append(None)
            continue
        too_late = now.event_time_us < latest - SPEC.allowed_lateness_seconds * SECOND_US
        answers.append({f.name: naive_feature(f, now, mine, too_late) for f in SPEC.features})
        if not too_late:
            kept.append(now)
    return answers


def naive_feature(feature, now: Transaction, mine: list[Transaction], too_late: bool) -> float:
    if isinstance(feature, Window):
        if too_late:
            return math.nan
        low = now.event_time_us - feature.seconds * SECOND_US
        inside = [t for t in [*mine, now] if low < t.event_time_us <= now.event_time_us]
        if feature.aggregate == "distinct":
            return len({getattr(t, feature.column) for t in inside})
        cents = sum(t.amount_cents for t in inside)
        return len(inside) if feature.aggregate == "count" else cents / len(inside) / 100
    if isinstance(feature, Daily):
        return DAILY[feature.name].lookup(now.event_time_us, getattr(now, feature.key))
    if feature.kind == "amount":
        return now.amount_cents / 100
    if feature.kind == "hour_of_day":
        return now.event_time_us // (3600 * SECOND_US) % 24
    if feature.kind == "first_seen":
        return all(getattr(t, feature.column) != getattr(now, feature.column) for t in mine)
    if feature.kind == "amount_ratio":
        total = sum(t.amount_cents for t in mine)
        return now.amount_cents / (total / len(mine)) if total > 0 else math.nan
    if not mine:
        return math.nan
    last = max(enumerate(mine), key=lambda place: (place[1].event_time_us, place[0]))[1]
    seconds = (now.event_time_us - last.event_time_us) / SECOND_US
    if feature.kind == "seconds_since_last":
        return seconds
    distance = distance_km(last.location, now.location)
    return math.nan if distance is None else distance / max(abs(seconds), 1.0) * 3600.0


def as_frame(log: list[Transaction]) -> pd.DataFrame:
    return pd.DataFrame(log, columns=Transaction._fields)


# What streams are made of: steps around the edges of the windows, back in time, and years ahead.
steps = st.sampled_from([0, 0, 1, 299, 300, 301, -1, -299, -300, 3600, -3599, -3600, -3601, 86_399, 86_400, 90_001])
wide = st.one_of(steps, steps, st.integers(-4000, 4000), st.just(3 * 365 * 86_400))
payments = st.tuples(
    st.integers(1, 2),  # user
    st.sampled_from([0, -500, 1, 1999, 10**9, 12_345]),  # cents: zero, a refund, the largest
    wide,  # seconds after the one before
    st.sampled_from(["NY", "LA", "SF", "東京"]),
    st.sampled_from(["Amazon", "Walmart", "Café"]),
    st.sampled_from(["mobile", "desktop", "📱"]),
    st.integers(0, 9),  # 0: the id of an earlier transaction again
)


def as_log(rows: list[tuple]) -> list[Transaction]:
    time, log = START_US + 40 * DAY_US // 100, []
    for number, (user, cents, step, location, merchant, device, repeat) in enumerate(rows):
        time = max(START_US - 10 * DAY_US, time + step * SECOND_US)
        transaction = Transaction(number, user, cents, time, location, merchant, device)
        if repeat == 0 and log:
            transaction = log[number * 7 % len(log)]
        log.append(transaction)
    return log


def same(left: float, right: float) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))


@settings(max_examples=150, deadline=None)
@given(st.lists(payments, min_size=1, max_size=40).map(as_log))
def test_online_and_offline_both_equal_the_naive_oracle(log):
    online = OnlineFeatures(SPEC, DAILY)
    offline = offline_features(as_frame(log), SPEC, DAILY)
    for place, (transaction, expected) in enumerate(zip(log, naive_features(log), strict=True)):
        answer = online.update(transaction)
        row = offline.iloc[place]
        if expected is None:
            assert answer is None
            assert row["duplicate"]
            continue
        assert not row["duplicate"]
        for name, value in zip(SPEC.names, answer, strict=True):
            assert same(value, float(expected[name])), f"online {name} at {place}"
            assert same(float(row[name]), float(expected[name])), f"offline {name} at {place}"


@settings(max_examples=50, deadline=None)
@given(st.lists(payments, min_size=2, max_size=30).map(as_log), st.data())
def test_what_arrives_later_changes_no_feature(log, data):
    cut = data.draw(st.integers(1, len(log) - 1))
    later = data.draw(st.permutations(log[cut:]))
    whole = offline_features(as_frame(log[:cut] + later), SPEC, DAILY).iloc[:cut]
    alone = offline_features(as_frame(log[:cut]), SPEC, DAILY)
    pd.testing.assert_frame_equal(whole, alone, check_exact=True)


def test_a_report_names_the_worst_example():
    left = pd.DataFrame({"amount": [1.0, 2.0, np.nan]}, index=[7, 8, 9])
    right = pd.DataFrame({"amount": [1.0, 2.5, np.nan]}, index=[7, 8, 9])
    row = parity_report(left, right, ["amount"]).iloc[0]
    assert (row["rows"], row["mismatches"], row["nulls_on_one_side"]) == (3, 1, 0)
    assert (row["worst_transaction"], row["online"], row["offline"]) == (8, 2.0, 2.5)


def test_a_report_counts_a_null_on_one_side_as_a_mismatch():
    left = pd.DataFrame({"amount": [1.0]}, index=[7])
    row = parity_report(left, left * np.nan, ["amount"]).iloc[0]
    assert (row["mismatches"], row["nulls_on_one_side"]) == (1, 1)


def test_a_report_refuses_frames_of_different_transactions():
    frame = pd.DataFrame({"amount": [1.0, 2.0]}, index=[7, 8])
    with pytest.raises(ValueError, match="1 transactions are on one side only, such as transaction_id=8"):
        parity_report(frame, frame.iloc[:1], ["amount"])


def test_the_hash_changes_with_any_part_of_the_declaration():
    first, *rest = SPEC.features
    assert replace(SPEC, allowed_lateness_seconds=60).hash != SPEC.hash
    assert replace(SPEC, features=(*rest, first)).hash != SPEC.hash
    assert replace(SPEC).hash == SPEC.hash
