"""Every codec is read; what cannot be unpacked is named each time, and left out only where somebody said so."""

import time

import pytest
from confluent_kafka import Producer
from kafka import TopicPartition

from capstone_utils.ingestion.streaming.consumer import GIVEN_UP, Consumer, UnreadableBatch, given_up_offsets
from capstone_utils.ingestion.streaming.partition_log import assigned_consumer, read_partition
from capstone_utils.ingestion.streaming.reader import consume
from capstone_utils.settings import InvalidSetting
from capstone_utils.transaction import Transaction
from tests.ingestion.streaming.damaged import DAMAGES, damage


def payments(first, count=5):
    start_us = 1_767_225_600_000_000
    return [
        Transaction(number, 7, 100, start_us + number, "NY", "Amazon", "mobile")
        for number in range(first, first + count)
    ]


def send(broker, topic, partition, batch, codec="none"):
    """The payments as one batch."""
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "compression.type": codec, "linger.ms": 200})
    for payment in batch:
        producer.produce(topic, payment.to_json(), payment.key, partition)
    assert producer.flush(30) == 0


@pytest.fixture
def two_partitions(broker, topic):
    """Three batches on each of two partitions: offsets 0 to 4, 5 to 9, 10 to 14."""
    for partition in (0, 1):
        for first in (0, 5, 10):
            send(broker, topic, partition, payments(100 * partition + first))
    return topic


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_messages_packed_by_any_codec_of_kafka_are_read(broker, topic, codec):
    send(broker, topic, 0, payments(0, 50), codec)
    read = consume(broker.bootstrap_servers, topic, f"group-of-{topic}", 50, 30)
    assert [received.transaction for received in read] == payments(0, 50)


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_batch_is_named_at_each_poll_and_a_paused_partition_lets_the_others_go_on(
    broker, two_partitions, how, wait_until
):
    damage(broker.settings, two_partitions, 0, 5, how)
    damaged, sound = TopicPartition(two_partitions, 0), TopicPartition(two_partitions, 1)
    offsets, raised = {damaged: [], sound: []}, []

    def poll():
        try:
            for partition, records in consumer.poll(200).items():
                offsets[partition] += [record.offset for record in records]
        except UnreadableBatch as reason:
            raised.append(reason)

    with assigned_consumer(broker.bootstrap_servers, [damaged, sound]) as consumer:
        consumer.seek_to_beginning(damaged, sound)
        wait_until(lambda: poll() or len(raised) == 3)
        assert consumer.position(damaged) == 5
        consumer.pause(damaged)
        wait_until(lambda: poll() or len(offsets[sound]) == 15)
    assert offsets == {damaged: [0, 1, 2, 3, 4], sound: list(range(15))}
    assert f"{two_partitions}/0 cannot be read at offset 5: " in str(raised[0])
    assert f"{GIVEN_UP}={two_partitions}/0/5-9" in str(raised[0])


@pytest.mark.parametrize("how", DAMAGES)
def test_a_log_with_a_damaged_batch_is_read_up_to_there_and_behind_it_once_it_is_given_up(
    broker, two_partitions, how, monkeypatch
):
    damage(broker.settings, two_partitions, 0, 5, how)
    log = read_partition(broker.bootstrap_servers, two_partitions, 0)
    assert [next(log).offset for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(UnreadableBatch, match="cannot be read at offset 5"):
        next(log)
    monkeypatch.setenv(GIVEN_UP, f"{two_partitions}/0/5-9")
    log = read_partition(broker.bootstrap_servers, two_partitions, 0)
    assert [record.offset for record in log] == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]


def test_a_group_reads_the_other_partitions_and_commits_nothing_of_what_it_could_not_read(
    broker, two_partitions, monkeypatch
):
    damage(broker.settings, two_partitions, 0, 5, "an unknown codec")
    where = broker.bootstrap_servers, two_partitions, f"group-of-{two_partitions}"
    read = consume(*where, 21, 15)  # one more than can be read: it looks at both partitions to their ends
    assert sorted(received.transaction.transaction_id for received in read) == [*range(5), *range(100, 115)]
    assert [(batch.partition, batch.offset) for batch in read.unreadable] == [(0, 5)]
    monkeypatch.setenv(GIVEN_UP, f"{two_partitions}/0/5-9")
    assert [received.offset for received in consume(*where, 5, 30)] == [10, 11, 12, 13, 14]


def test_polls_that_end_before_the_group_has_joined_lose_no_partition(broker, two_partitions):
    for number in range(4):  # the broker's very first group is slow, and knows the partitions when it joins
        offsets, deadline = [], time.monotonic() + 20
        group = {"group_id": f"group-{number}-of-{two_partitions}", "auto_offset_reset": "earliest"}
        with Consumer(broker.bootstrap_servers, **group) as consumer:
            consumer.subscribe([two_partitions])
            while len(offsets) < 30 and time.monotonic() < deadline:
                offsets += [record.offset for records in consumer.poll(5).values() for record in records]
        assert sorted(offsets) == sorted([*range(15), *range(15)])


@pytest.mark.parametrize("text", ["5-9", "payments/0/9-5", "payments/0/5", "payments/0/5-9;payments/1/5-9"])
def test_offsets_given_up_in_another_form_are_refused(monkeypatch, text):
    monkeypatch.setenv(GIVEN_UP, text)
    with pytest.raises(InvalidSetting, match="is not TOPIC/PARTITION/FIRST-LAST"):
        given_up_offsets()
