"""Memory: idle users are packed, what has left the retention is dropped, and a user's state has an upper size."""

import tracemalloc
from dataclasses import replace

from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.online.user_store import IDLE_USER_BYTES
from capstone_utils.features.spec import BRIEF, SPEC, FeatureSpec, Window
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.simulator import SimulatorConfig, simulate
from capstone_utils.transaction import SECOND_US, Transaction
from tests.features.streams import DAILY, START_US

FEW = replace(SPEC, max_events=100, max_values=10)


def pay(number, second, user=1, device="mobile"):
    return Transaction(number, user, 100, START_US + second * SECOND_US, "NY", "Amazon", device)


def test_an_idle_user_takes_no_more_than_stated():
    online = OnlineFeatures(SPEC)
    for transaction in transactions_of(simulate(SimulatorConfig(seed=2, customers=500)).transactions):
        online.update(transaction)
    snapshot = online.snapshot()
    tracemalloc.start()
    restored = OnlineFeatures.from_snapshot(snapshot, SPEC, awake_users=1)
    for user_id in list(restored.users):  # wake each, so that each is packed again
        restored.users.wake(user_id)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / len(restored.users) < IDLE_USER_BYTES


def test_each_user_is_there_once_awake_or_packed():
    online = OnlineFeatures(BRIEF, awake_users=2)
    for number, user in enumerate([1, 2, 3, 1, 2, 4, 4, 1]):
        online.update(pay(number, number, user))
    assert sorted(online.users) == [1, 2, 3, 4]
    assert len(online.users) == 4
    online.users.forget(3)
    online.users.forget(4)
    assert sorted(online.users) == [1, 2]
    assert 3 not in online.users
    online.users.clear()
    assert len(online.users) == 0


def test_the_user_who_paid_longest_ago_is_packed_first():
    online = OnlineFeatures(BRIEF, awake_users=2)
    for number, user in enumerate([1, 2, 1, 3]):
        online.update(pay(number, number, user))
    assert list(online.users) == [2, 1, 3]  # packed ones first


def test_peek_makes_no_state():
    online = OnlineFeatures(SPEC)
    assert online.peek(pay(1, 0)) is not None
    assert len(online.users) == 0


def test_missing_and_stale_batch_values_are_counted():
    online = OnlineFeatures(SPEC, DAILY)  # the profile begins a day later than the merchants' risk
    for number, day in enumerate([0, 1, 3, 4]):
        online.update(pay(number, day * 86_400))
    assert online.missing_daily == 1 + 0 + 0 + 2


def test_what_has_left_the_retention_is_dropped():
    online = OnlineFeatures(BRIEF)
    for number in range(10_000):
        online.update(pay(number, number * 60, device=f"phone {number}"))
    assert len(online.users.pack(1)) < 5_000  # 65 transactions of the last 3900 s
    user = online.users.look(1)
    assert max(map(len, (user.times, user.time_of, user.seen_at[1], user.recent[1], user.texts[1]))) < 200


def test_a_burst_beyond_max_events_and_many_values_leave_a_bounded_state():
    online = OnlineFeatures(FEW)
    for number in range(5_000):
        online.update(pay(number, 0, device=f"phone {number}"))
    user = online.users.look(1)
    assert max(map(len, (user.times, user.time_of, user.seen_at[1], user.recent[1], user.texts[1]))) <= FEW.max_events
    assert all(len(known) <= FEW.max_values for known in user.known)


def test_reported_fraud_is_forgotten_with_its_transaction():
    spec = FeatureSpec((Window("risk", "fraud_rate", "is_fraud", 300, "user_id", 60),))
    online = OnlineFeatures(spec)
    for number in range(1_000):
        online.update(pay(number, number * 3600))
        online.report_fraud(pay(number, number * 3600), START_US)
    assert len(online.users.look(1).reported) < 50
