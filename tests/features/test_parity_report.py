"""The parity report and the live sampler: what differs, how often, and the worst example."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.parity import ParitySampler, parity_report
from capstone_utils.features.spec import SPEC, FeatureSpec, State, Window
from capstone_utils.transaction import MAX_ID, SECOND_US, Transaction
from tests.features.streams import DAILY, START_US, as_frame, logs


def pay(number, second, user=1):
    return Transaction(number, user, 100, START_US + second * SECOND_US, "NY", "Amazon", "mobile")


def test_it_names_the_worst_example_with_its_transaction():
    log = [pay(7, 0), pay(8, 1), pay(MAX_ID, 2)]
    left = pd.DataFrame({"amount": [1.0, np.nan, 2.0]}, index=[7, 8, MAX_ID])
    right = pd.DataFrame({"amount": [1.25, np.nan, 2.5]}, index=[7, 8, MAX_ID])
    row = parity_report(left, right, ["amount"], as_frame(log).set_index(left.index)).iloc[0]
    assert (row["rows"], row["mismatches"], row["nulls_on_one_side"]) == (3, 2, 0)
    assert (row["worst_transaction"], row["online"], row["offline"]) == (MAX_ID, 2.0, 2.5)
    assert row["transaction"] == log[2]


def test_it_counts_a_null_on_one_side_as_a_mismatch():
    left = pd.DataFrame({"amount": [1.0]}, index=[7])
    row = parity_report(left, left * np.nan, ["amount"]).iloc[0]
    assert (row["mismatches"], row["nulls_on_one_side"]) == (1, 1)


def test_it_compares_bits():
    left = pd.DataFrame({"amount": [0.1 + 0.2, 0.0]}, index=[7, 8])
    right = pd.DataFrame({"amount": [0.3, -0.0]}, index=[7, 8])
    assert parity_report(left, right, ["amount"]).iloc[0]["mismatches"] == 2


def test_it_refuses_frames_of_different_transactions():
    frame = pd.DataFrame({"amount": [1.0, 2.0]}, index=[7, 8])
    with pytest.raises(ValueError, match="1 transactions are on one side only, such as transaction_id=8"):
        parity_report(frame, frame.iloc[:1], ["amount"])


@settings(max_examples=100, deadline=None)
@given(logs(max_size=60), st.data())
def test_the_sampler_finds_no_difference_from_any_start_in_any_memory(log, data):
    start = data.draw(st.integers(0, len(log)))
    online = OnlineFeatures(SPEC, DAILY)
    for transaction in log[:start]:
        online.update(transaction)
    sampler = ParitySampler(online, DAILY, share=1.0, max_rows=data.draw(st.sampled_from([1, 5, 1000])))
    for transaction in log[start:]:
        sampler.record(transaction, online.update(transaction))
        if data.draw(st.booleans()):
            sampler.check()
    sampler.check()
    assert sampler.mismatches == 0
    assert sampler.users_let_go or sampler.rows == len(log) - start


def test_the_sampler_goes_on_with_windows_when_older_transactions_are_dropped():
    online = OnlineFeatures(SPEC, DAILY)
    sampler = ParitySampler(online, DAILY, share=1.0, max_rows=8)
    for number in range(100):
        transaction = pay(number, number * 6 * 3600)  # five within the retention of 25 hours
        sampler.record(transaction, online.update(transaction))
        rows = sampler.check().set_index("feature")["rows"]
    assert (sampler.rows, sampler.mismatches, sampler.users_let_go) == (100, 0, 0)
    assert (rows["transaction_count_24h"], rows["is_new_device"]) == (1, 0)


def test_the_sampler_knows_where_a_user_was_last_even_when_no_window_asks():
    spec = FeatureSpec((State("speed_kmh", "speed_kmh"), Window("count", "count", "amount_cents", 60)))
    online = OnlineFeatures(spec)
    online.update(pay(1, 0))
    sampler = ParitySampler(online, share=1.0)
    sampler.record(pay(2, 30), online.update(pay(2, 30)))
    assert sampler.check().set_index("feature").loc["speed_kmh", ["rows", "mismatches"]].tolist() == [1, 0]


def test_the_sampler_finds_what_was_emitted_wrongly():
    online = OnlineFeatures(SPEC, DAILY)
    sampler = ParitySampler(online, DAILY, share=1.0)
    for number in range(10):
        features = list(online.update(pay(number, number)))
        if number == 6:
            features[SPEC.names.index("transaction_count")] += 1
        sampler.record(pay(number, number), tuple(features))
    report = sampler.check().set_index("feature")
    assert (sampler.rows, sampler.mismatches) == (10, 1)
    assert report.loc["transaction_count", "transaction"] == pay(6, 6)
    assert (report.loc["transaction_count", "online"], report.loc["transaction_count", "offline"]) == (8, 7)
    assert len(sampler.check()) == len(report)
    assert (sampler.rows, sampler.mismatches) == (10, 1)  # compared once


def test_the_sampler_finds_a_transaction_that_was_lost_on_the_way_to_the_state():
    online = OnlineFeatures(SPEC, DAILY)
    sampler = ParitySampler(online, DAILY, share=1.0)
    sampler.record(pay(1, 0), online.update(pay(1, 0)))
    sampler.record(pay(2, 1), (1.0,) * len(SPEC.names))  # scored by another state
    sampler.record(pay(3, 2), online.update(pay(3, 2)))
    report = sampler.check().set_index("feature")
    assert report.loc["transaction_count", "mismatches"] == 2


def test_the_sampler_leaves_out_what_it_cannot_know():
    online = OnlineFeatures(SPEC, DAILY)
    online.update(pay(1, 0))
    sampler = ParitySampler(online, DAILY, share=1.0)
    for transaction in (pay(2, 5), pay(3, 5, user=2)):
        sampler.record(transaction, online.update(transaction))
    rows = sampler.check().set_index("feature")["rows"]
    assert (rows["transaction_count"], rows["seconds_since_last"], rows["is_new_device"]) == (2, 2, 1)


def test_the_sample_is_a_share_of_users_and_its_memory_is_bounded():
    online = OnlineFeatures(SPEC)
    sampler = ParitySampler(online, share=0.1, max_rows=50)
    for number in range(20_000):
        transaction = pay(number, number * 60, user=number % 1000)
        sampler.record(transaction, online.update(transaction))
        assert sampler.kept <= 100
    assert sampler.users_let_go > 0
    assert sampler.rows > 0
    assert 60 < sum(map(sampler.samples, range(1000))) < 140


def test_a_sampler_of_nobody_is_refused():
    with pytest.raises(ValueError, match="share=0 is not a share of users"):
        ParitySampler(OnlineFeatures(replace(SPEC)), share=0)
