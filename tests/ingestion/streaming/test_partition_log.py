"""A topic is read to its end, without a group, and what was not committed is not there."""

import pytest

from capstone_utils.ingestion.streaming.clients import Producer
from capstone_utils.ingestion.streaming.partition_log import read_partition, read_topic
from capstone_utils.ingestion.streaming.topics import TopicError


def send(producer, topic, values):
    for number, value in enumerate(values):
        producer.send(topic, value, partition=number % 4)


def test_all_partitions_are_read_in_their_order_and_an_aborted_transaction_is_left_out(broker, topic):
    producer = Producer(broker.bootstrap_servers, transactional_id=f"writer-of-{topic}")
    producer.init_transactions()
    for values, end in ((range(8), "commit"), (range(100, 108), "abort"), (range(8, 16), "commit")):
        producer.begin_transaction()
        send(producer, topic, [b"%d" % value for value in values])
        producer.flush()
        getattr(producer, f"{end}_transaction")()
    producer.close()
    read = [(record.partition, int(record.value)) for record in read_topic(broker.bootstrap_servers, topic)]
    assert read == [(number, number + 4 * turn) for number in range(4) for turn in range(4)]


def test_a_part_of_a_partition_is_read_by_offsets(broker, topic):
    with Producer(broker.bootstrap_servers) as producer:
        send(producer, topic, [b"%d" % number for number in range(16)])
    part = read_partition(broker.bootstrap_servers, topic, 2, start=1, end=3)
    assert [int(record.value) for record in part] == [6, 10]
    assert list(read_partition(broker.bootstrap_servers, topic, 2, start=3, end=3)) == []


def test_an_empty_topic_has_no_records_and_a_missing_one_is_named_at_once(broker, topic):
    assert list(read_topic(broker.bootstrap_servers, topic)) == []
    with pytest.raises(TopicError, match="there is no topic nowhere"):
        read_topic(broker.bootstrap_servers, "nowhere")
