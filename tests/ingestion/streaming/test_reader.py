"""Transactions go into a topic at a rate and come out by a group, with an end to both."""

import time
from collections import defaultdict

import pytest

from capstone_utils.ingestion.streaming.producer import produce
from capstone_utils.ingestion.streaming.reader import TransactionReader, consume
from capstone_utils.ingestion.streaming.topics import TopicError, end_offsets
from capstone_utils.transaction import Transaction

BRIEF = {
    "transaction_id": 12345,
    "user_id": 42,
    "amount": 250.75,
    "location": "NY",
    "merchant": "Amazon",
    "device": "mobile",
}


def payments(count, users=10):
    start_us = 1_767_225_600_000_000
    return [
        Transaction(number, number % users, 100 + number, start_us + number, "NY", "Amazon", "mobile")
        for number in range(count)
    ]


def read(broker, topic, group, count, deadline_seconds=20.0):
    return consume(broker.bootstrap_servers, topic, f"{group}-of-{topic}", count, deadline_seconds)


def test_the_brief_s_own_transaction_goes_through_as_it_is(broker, topic):
    brief = Transaction.from_dict(BRIEF | {"timestamp": time.time()})
    assert produce(broker.bootstrap_servers, topic, [brief]).failed == 0
    assert [received.transaction for received in read(broker, topic, "team", 1)] == [brief]


def test_one_user_s_transactions_stay_in_order_on_one_partition(broker, topic):
    produce(broker.bootstrap_servers, topic, payments(1_000))
    partitions, numbers = defaultdict(set), defaultdict(list)
    received = read(broker, topic, "team", 1_000)
    for transaction, partition, offset, _ in received:
        partitions[transaction.user_id].add(partition)
        numbers[transaction.user_id].append((offset, transaction.transaction_id))
    assert len(received) == 1_000
    assert all(len(mine) == 1 for mine in partitions.values())
    assert all(mine == sorted(mine) and len(mine) == 100 for mine in numbers.values())
    assert len(set.union(*partitions.values())) > 1


def test_the_report_adds_up(broker, topic):
    report = produce(broker.bootstrap_servers, topic, payments(5_000))
    assert (report.sent, report.failed, sum(report.delivered_per_second)) == (5_000, 0, 5_000)
    assert sum(end_offsets(broker.bootstrap_servers, topic).values()) == 5_000
    latency = report.latency_ms
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"] <= latency["max"] <= report.seconds * 1_000


def test_a_rate_is_kept_and_a_stall_is_caught_up_and_shows_as_latency(broker, topic):
    def stalling():
        for number, payment in enumerate(payments(200)):
            if number == 50:
                time.sleep(1.0)  # the fault under test: the source stands still
            yield payment

    report = produce(broker.bootstrap_servers, topic, stalling(), rate_per_second=100)
    assert report.seconds >= 1.99
    assert report.latency_ms["max"] > 900
    assert report.latency_ms["p50"] < 900, "three in four would be a second late if each waited for the one before"


@pytest.mark.parametrize("rate", [0, -5, float("nan")])
def test_a_rate_that_is_none_is_refused(broker, topic, rate):
    with pytest.raises(ValueError, match=f"rate_per_second={rate} is not above 0"):
        produce(broker.bootstrap_servers, topic, payments(1), rate_per_second=rate)


def test_a_source_that_fails_is_not_taken_for_a_delivery_that_failed(broker, topic):
    def failing():
        yield from payments(3)
        raise RuntimeError("the file ended early")

    with pytest.raises(RuntimeError, match="the file ended early"):
        produce(broker.bootstrap_servers, topic, failing())
    assert len(read(broker, topic, "team", 3)) == 3


def test_a_missing_topic_is_said_before_anything_is_sent(broker):
    with pytest.raises(TopicError, match="there is no topic nowhere"):
        produce(broker.bootstrap_servers, "nowhere", payments(1))
    with pytest.raises(TopicError, match="there is no topic nowhere"):
        read(broker, "nowhere", "team", 1)


def test_consuming_ends_at_the_count_and_the_group_goes_on_from_there(broker, topic):
    produce(broker.bootstrap_servers, topic, payments(30))
    first, rest = read(broker, topic, "team", 10), read(broker, topic, "team", 20)
    assert (len(first), len(rest)) == (10, 20)
    assert {received.transaction for received in first + rest} == set(payments(30))
    assert len(read(broker, topic, "another-team", 30)) == 30


def test_consuming_ends_at_the_deadline_when_there_is_less(broker, topic):
    produce(broker.bootstrap_servers, topic, payments(3))
    began = time.monotonic()
    received = read(broker, topic, "team", 10, deadline_seconds=2.0)
    assert 2.0 <= time.monotonic() - began < 10.0
    assert len(received) == 3
    assert received.assignments[-1] == (0, 1, 2, 3)


def test_what_was_not_finished_is_read_again(broker, topic):
    produce(broker.bootstrap_servers, topic, payments(5))
    with TransactionReader(broker.bootstrap_servers, topic, f"team-of-{topic}") as reader:
        for _ in reader.batches(5, deadline_seconds=20):
            break  # as a crash would: the batch is in hand and its work is not done
    assert len(read(broker, topic, "team", 5)) == 5


def test_a_received_transaction_knows_when_its_producer_handed_it_over(broker, topic):
    before = time.time_ns() // 1_000_000
    produce(broker.bootstrap_servers, topic, payments(1))
    (received,) = read(broker, topic, "team", 1)
    assert before <= received.timestamp_ms <= time.time_ns() // 1_000_000
