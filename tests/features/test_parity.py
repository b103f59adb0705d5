"""Online and offline are both held against the naive oracle, at every prefix of every kind of stream."""

import math

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.spec import BRIEF, SPEC, FeatureSpec, Window
from capstone_utils.transaction import SECOND_US, Transaction
from tests.features.naive import Naive
from tests.features.streams import DAILY, LABEL_DELAY, START_US, as_frame, forgetful, logs, small_specs


def same(left, right):
    return left == right or (math.isnan(left) and math.isnan(right))


def check_parity(log, spec, awake_users=10_000, delays_us=None):
    """Fail unless online, `peek` and offline all give the oracle's answer for each transaction of the log."""
    known = {t.transaction_id: t.event_time_us + d for t, d in zip(log, delays_us or [], strict=False) if d is not None}
    labels = pd.DataFrame(
        {"transaction_id": list(known), "is_fraud": True, "known_at_us": np.array(list(known.values()), dtype=np.int64)}
    )
    online, naive = OnlineFeatures(spec, DAILY, awake_users), Naive(spec, DAILY, known)
    offline = offline_features(as_frame(log), spec, DAILY, labels)
    for place, transaction in enumerate(log):
        expected = naive.update(transaction)
        peeked, answer, row = online.peek(transaction), online.update(transaction), offline.iloc[place]
        assert row["duplicate"] == (expected is None)
        if expected is None:
            assert answer is None
            assert peeked is None
        else:
            for name, left, seen in zip(spec.names, answer, peeked, strict=True):
                assert same(left, expected[name]), f"online {name} at {place}"
                assert same(seen, expected[name]), f"peek {name} at {place}"
                assert same(row[name], expected[name]), f"offline {name} at {place}"
        if transaction.transaction_id in known:
            online.report_fraud(transaction, known[transaction.transaction_id])


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.just(SPEC), forgetful), logs(), st.sampled_from([1, 10_000]))
def test_online_and_offline_both_equal_the_naive_oracle(spec, log, awake_users):
    check_parity(log, spec, awake_users)


@settings(max_examples=1000, deadline=None)
@given(small_specs, logs(max_size=25), st.data())
def test_any_other_spec_holds_too(spec, log, data):
    exactly = LABEL_DELAY * SECOND_US
    report = st.sampled_from([0, exactly, exactly, exactly + 1, None])
    delays = {t.transaction_id: data.draw(report) for t in log} if spec.label_delay_us else {}
    check_parity(log, spec, delays_us=[delays.get(t.transaction_id) for t in log])


@settings(max_examples=50, deadline=None)
@given(logs(min_size=2, max_size=30), st.data())
def test_what_arrives_later_changes_no_feature(log, data):
    cut = data.draw(st.integers(1, len(log) - 1))
    later = [t for t in data.draw(st.permutations(log[cut:])) if data.draw(st.booleans())]
    whole = offline_features(as_frame(log[:cut] + later), SPEC, DAILY).iloc[:cut]
    alone = offline_features(as_frame(log[:cut]), SPEC, DAILY)
    pd.testing.assert_frame_equal(whole, alone, check_exact=True)


def pay(number, second, **fields):
    """A payment so many seconds after START: user 1, a dollar, NY, Amazon, mobile, unless said otherwise."""
    usual = {"user_id": 1, "amount_cents": 100, "location": "NY", "merchant": "Amazon", "device": "mobile"}
    return Transaction(transaction_id=number, event_time_us=START_US + second * SECOND_US, **usual | fields)


def answers(spec, log, name="transaction_count"):
    """One feature as online and offline both answer it: None for a duplicate, "missing" for NaN."""
    online, offline = OnlineFeatures(spec), offline_features(as_frame(log), spec)
    made = [online.update(transaction) for transaction in log]
    left = [answer and answer[spec.names.index(name)] for answer in made]
    right = [None if row["duplicate"] else row[name] for _, row in offline.iterrows()]
    sides = left, right
    shown = [["missing" if value is not None and math.isnan(value) else value for value in each] for each in sides]
    assert shown[0] == shown[1]
    return shown[0]


#   0    1              300 s
#   |(---+---------------|]
#   a    b               c       at c, a is exactly 300 s old: out; b is a second younger: in
def test_a_window_is_open_on_the_left_and_closed_on_the_right():
    assert answers(BRIEF, [pay(1, 0), pay(2, 1), pay(3, 300), pay(4, 300)]) == [1, 2, 2, 3]


#  -1 0      900 1000          3600 s         lateness allowed: 3600 s; arrival in the order of the letters
#   | |-------|---|-------------|
#   d c       e   b             a
def test_a_late_transaction_sees_its_own_window_and_too_late_a_one_sees_none():
    assert answers(BRIEF, [pay(1, 3600), pay(2, 1000), pay(3, 0), pay(4, -1), pay(5, 900)]) == [1, 1, 1, "missing", 1]
    assert answers(BRIEF, [pay(1, 3600), pay(2, 900), pay(3, 1000), pay(4, 3601)]) == [1, 1, 2, 2]


#   0              299 300  310 s     a and b with a tablet, c and d with a mobile; arrival in the order of the letters
#   |---------------|--|-----|
#   a               d  c     b        at c, a is exactly 300 s old and b is yet to come; at d, a is in
def test_a_late_transaction_counts_what_was_in_use_by_its_own_time():
    log = [pay(1, 0, device="tablet"), pay(2, 310, device="tablet"), pay(3, 300), pay(4, 299)]
    assert answers(BRIEF, log, "unique_devices") == [1, 1, 1, 2]


#   0                3899 3900 s              retention: window 300 s and lateness 3600 s
#   |-----------------|---|
#   a                 b   c                   a again after b: known; after c: forgotten, and too late as well
def test_a_repeat_is_known_within_the_retention_and_too_late_beyond():
    a, b, c = pay(1, 0), pay(2, 3899), pay(3, 3900)
    assert answers(BRIEF, [a, b, a]) == [1, 1, None]
    assert answers(BRIEF, [a, c, a]) == [1, 1, "missing"]


def test_a_repeat_changes_nothing():
    assert answers(BRIEF, [pay(1, 0), pay(1, 0), pay(2, 1)]) == [1, None, 2]


#   0         59 60      359 360 s      label delay 60 s, window 300 s: the rate at t is over (t - 360, t - 60]
#   |---------|--|--------|---|
#   a         b  c        d   e        a is reported, b is not; a is too young for b, seen by c and d, too old for e
def test_a_fraud_rate_is_over_what_labels_had_time_for():
    window = Window("risk", "fraud_rate", "is_fraud", 300, "merchant", 60)
    log = [pay(number, second, user_id=number) for number, second in enumerate([0, 59, 60, 359, 360])]
    known_at = log[2].event_time_us  # exactly at the end of the label delay
    labels = pd.DataFrame({"transaction_id": [0], "is_fraud": True, "known_at_us": [known_at]})
    offline = offline_features(as_frame(log), FeatureSpec((window,)), None, labels)["risk"].fillna(-1)
    online = OnlineFeatures(FeatureSpec((window,)))
    made = []
    for transaction in log:
        made += online.update(transaction)
        if transaction.transaction_id == 0:
            online.report_fraud(transaction, known_at)
    assert list(offline) == [-1 if math.isnan(value) else value for value in made] == [-1, -1, 1, 1 / 3, 0]


def test_no_transactions_have_no_features():
    empty = offline_features(as_frame([]), SPEC, DAILY)
    assert list(empty) == [*SPEC.names, "duplicate"]
    assert len(empty) == 0


def test_one_user_with_100_000_transactions_in_the_window():
    generator = np.random.default_rng(5)
    n = 100_000
    second = np.sort(generator.uniform(0, 86_000, n))
    arrival = np.argsort(second + np.where(generator.random(n) < 0.01, generator.uniform(0, 3599, n), 0))
    texts = [[f"{name} {code}" for code in generator.integers(0, 50, n)] for name in ("city", "shop", "phone")]
    frame = pd.DataFrame(
        {
            "transaction_id": np.arange(n),
            "user_id": 1,
            "amount_cents": generator.integers(-500, 10**9, n),
            "event_time_us": START_US + (second * SECOND_US).astype(np.int64),
            **dict(zip(("location", "merchant", "device"), texts, strict=True)),
        }
    ).iloc[arrival]
    log = [Transaction(*row) for row in frame.itertuples(index=False, name=None)]
    online, offline = OnlineFeatures(SPEC, DAILY), offline_features(frame, SPEC, DAILY)
    made = np.array([online.update(transaction) for transaction in log])
    np.testing.assert_array_equal(made, offline[list(SPEC.names)].to_numpy())
    assert online.late > 500
    naive = Naive(SPEC, DAILY)
    for place in (10, 50_000, n - 1, int(np.argmin(np.diff(frame["event_time_us"]))) + 1):  # the last one: a late one
        naive.kept["user_id", 1] = naive.accepted[1] = log[:place]
        expected = [naive.value(feature, log[place]) for feature in SPEC.features]
        np.testing.assert_array_equal(made[place], np.array(expected, dtype=float))
