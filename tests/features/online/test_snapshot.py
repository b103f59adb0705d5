"""A snapshot taken at any point goes on with the same features; bytes that cannot prove themselves are refused."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.online.snapshot import InvalidSnapshot
from capstone_utils.features.spec import BRIEF, SPEC, FeatureSpec, Window
from tests.features.streams import DAILY, as_log, forgetful, logs

MERCHANTS = FeatureSpec(
    (
        Window("count", "count", "amount_cents", 86_400, "merchant"),
        Window("devices", "distinct", "device", 3600, "merchant"),
        Window("risk", "fraud_rate", "is_fraud", 3600, "merchant", 300),
        Window("own_risk", "fraud_rate", "is_fraud", 3600, "user_id", 300),
    )
)
specs = st.one_of(st.just(SPEC), st.just(MERCHANTS), forgetful)


def feed(online, log):
    """What the state answers, each third transaction being reported as fraud; with NaN as None, to be compared."""
    answers = []
    for transaction in log:
        answer = online.update(transaction)
        answers.append(answer and [None if math.isnan(value) else value for value in answer])
        if transaction.transaction_id % 3 == 0:
            online.report_fraud(transaction, transaction.event_time_us)
    return answers


def counters(online):
    return online.late, online.too_late, online.duplicates, online.missing_daily, sorted(online.users)


@settings(max_examples=100, deadline=None)
@given(specs, logs(min_size=2), st.data())
def test_a_snapshot_taken_at_any_point_goes_on_with_the_same_features(spec, log, data):
    cut = data.draw(st.integers(0, len(log)))
    online = OnlineFeatures(spec, DAILY, awake_users=1)
    feed(online, log[:cut])
    restored = OnlineFeatures.from_snapshot(online.snapshot(), spec, DAILY)
    assert feed(restored, log[cut:]) == feed(online, log[cut:])
    assert counters(restored) == counters(online)
    assert restored.snapshot() == OnlineFeatures.from_snapshot(restored.snapshot(), spec, DAILY).snapshot()


@settings(max_examples=50, deadline=None)
@given(st.one_of(st.just(SPEC), forgetful), logs(min_size=2))
def test_a_user_who_travels_as_bytes_after_each_transaction_has_the_same_features(spec, log):
    still, answers, parcels = OnlineFeatures(spec, DAILY), [], {}
    for transaction in log:
        elsewhere = OnlineFeatures(spec, DAILY)
        if transaction.user_id in parcels:
            elsewhere.user_from_bytes(transaction.user_id, parcels[transaction.user_id])
        answers += feed(elsewhere, [transaction])
        parcels[transaction.user_id] = elsewhere.user_to_bytes(transaction.user_id)
    assert answers == feed(still, log)


def test_a_user_can_be_taken_back_to_an_earlier_moment():
    online = OnlineFeatures(SPEC, DAILY)
    first, second = as_log([(1, 100, 60, "NY", "Amazon", "mobile", 1)] * 2)
    feed(online, [first])
    before = online.user_to_bytes(1)
    answer = feed(online, [second])
    online.user_from_bytes(1, before)
    assert feed(online, [second]) == answer


@pytest.fixture(scope="module")
def snapshot():
    online = OnlineFeatures(BRIEF)
    feed(online, as_log([(1, 100, 60, "NY", "Amazon", "mobile", 1)] * 5))
    return online.snapshot()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damage_anywhere_is_refused(snapshot, data):
    place = data.draw(st.integers(0, len(snapshot) - 1))
    flipped = snapshot[:place] + bytes([snapshot[place] ^ data.draw(st.integers(1, 255))]) + snapshot[place + 1 :]
    for damaged in (flipped, snapshot[:place], snapshot + b"x"):
        with pytest.raises(InvalidSnapshot, match="rebuild the state from the log"):
            OnlineFeatures.from_snapshot(damaged, BRIEF)


def test_a_snapshot_of_another_spec_is_refused_with_both_hashes(snapshot):
    other = replace(BRIEF, allowed_lateness_seconds=60)
    with pytest.raises(InvalidSnapshot, match=f"is of the spec {BRIEF.hash[:12]}, and this one is {other.hash[:12]}"):
        OnlineFeatures.from_snapshot(snapshot, other)


def test_a_snapshot_of_another_format_is_refused(snapshot):
    with pytest.raises(InvalidSnapshot, match="is of format 2, and this code reads format 1"):
        OnlineFeatures.from_snapshot(snapshot[:8] + b"\x02" + snapshot[9:], BRIEF)


def test_one_users_bytes_are_no_snapshot_of_all(snapshot):
    online = OnlineFeatures.from_snapshot(snapshot, BRIEF)
    with pytest.raises(InvalidSnapshot, match="does not hold all users"):
        OnlineFeatures.from_snapshot(online.user_to_bytes(1), BRIEF)
    with pytest.raises(InvalidSnapshot, match="does not hold one user"):
        online.user_from_bytes(1, snapshot)
