"""What is no transaction is set aside whole, with its reason and its place, and stops nothing behind it."""

import itertools
import json
import time

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaTimeoutError

from capstone_utils.ingestion.streaming.reader import consume
from capstone_utils.ingestion.streaming.topics import create_topics, end_offsets
from capstone_utils.transaction import Transaction

GOOD = Transaction(1, 7, 1999, 1_767_225_600_500_000, "NY", "Amazon", "mobile")
LARGEST = 8_388_608 - 100  # message.max.bytes, less what Kafka puts around a message
DEADLINE_SECONDS = 20.0


def send(broker, topic, messages):
    """(key, value) pairs into the topic; (partition, offset) of each."""
    with KafkaProducer(bootstrap_servers=broker.bootstrap_servers, max_request_size=2**24) as producer:
        futures = [producer.send(topic, value, key, headers=[("trace", b"t1")]) for key, value in messages]
        placed = [future.get(10) for future in futures]
    return [(place.partition, place.offset) for place in placed]


def read_dead_letters(broker, topic, count):
    consumer = KafkaConsumer(
        topic, bootstrap_servers=broker.bootstrap_servers, auto_offset_reset="earliest", consumer_timeout_ms=10_000
    )
    with consumer:
        return list(itertools.islice(consumer, count))


def consume_all(broker, topic, count):
    return consume(
        broker.bootstrap_servers, topic, f"readers-of-{topic}", count, DEADLINE_SECONDS, f"{topic}.dead-letter"
    )


def test_each_unreadable_message_is_kept_whole_with_reason_and_place(broker, topic):
    wire = GOOD.to_json()
    poison = [
        (b"7", b"not json", "message="),
        (b"7", b"", "message="),
        (b"7", None, "message=None"),  # a tombstone
        (b"7", b"\xff\xfe\x00", "message="),
        (b"7", wire.replace(b"19.99", b"19.999"), "amount=19.999 is not"),
        (b"7", wire.replace(b'"user_id":7,', b""), "user_id is missing"),
        (b"7", wire.replace(b'"NY"', '"ブロードウェイ"'.encode() + b"," + b'"zip":'), "message="),
        (b"8", wire, "key=b'8' is not the user's, b'7'"),
        (None, wire, "key=None is not the user's"),
    ]
    places = send(broker, topic, [(b"7", wire), *[(key, value) for key, value, _ in poison], (b"7", wire)])

    read = consume_all(broker, topic, len(places))

    assert [received.transaction for received in read] == [GOOD, GOOD]
    assert read.dead_letters == {"message": 5, "amount": 1, "user_id": 1, "key": 2}
    dead = {}
    for record in read_dead_letters(broker, f"{topic}.dead-letter", len(poison)):
        headers = {name: value.decode() for name, value in record.headers}
        assert (headers["source_topic"], headers["trace"]) == (topic, "t1")
        dead[int(headers["source_partition"]), int(headers["source_offset"])] = record, headers["reason"]
    for place, (key, value, reason) in zip(places[1:], poison, strict=False):
        record, told = dead[place]
        assert (record.key, record.value) == (key, value)
        assert told.startswith(reason)


def test_a_topic_full_of_garbage_stops_nothing_and_loses_nothing(broker, topic):
    garbage = [(b"%d" % number, b"garbage %d" % number) for number in range(5_000)]
    send(broker, topic, [*garbage, (b"7", GOOD.to_json())])
    read = consume_all(broker, topic, len(garbage) + 1)
    assert [received.transaction for received in read] == [GOOD]
    dead = read_dead_letters(broker, f"{topic}.dead-letter", len(garbage))
    assert sorted(record.value for record in dead) == sorted(value for _, value in garbage)
    assert not consume(broker.bootstrap_servers, topic, f"readers-of-{topic}", 1, deadline_seconds=0.5)


@pytest.mark.parametrize("size", [5_000_000, LARGEST], ids=["5 MB", "the largest that the broker takes"])
def test_a_huge_message_fits_into_the_dead_letter_topic_with_its_reason(broker, topic, size):
    create_topics(broker.bootstrap_servers, {f"{topic}.dead-letter": 3})  # as someone else may have made it
    send(broker, topic, [(b"7", b"x" * size), (b"7", GOOD.to_json())])
    began = time.monotonic()
    read = consume_all(broker, topic, 2)
    assert time.monotonic() - began < DEADLINE_SECONDS
    assert [received.transaction for received in read] == [GOOD]
    (letter,) = read_dead_letters(broker, f"{topic}.dead-letter", 1)
    assert len(letter.value) == size
    assert len(dict(letter.headers)["reason"]) < 300


def test_without_unreadable_messages_there_is_no_dead_letter_topic(broker, topic):
    send(broker, topic, [(b"7", GOOD.to_json())])
    assert not consume_all(broker, topic, 1).dead_letters
    with KafkaConsumer(bootstrap_servers=broker.bootstrap_servers) as consumer:
        assert f"{topic}.dead-letter" not in consumer.topics()


def test_a_message_is_committed_only_when_its_dead_letter_is_safe(broker, topic, monkeypatch):
    send(broker, topic, [(b"7", b"garbage")])
    with monkeypatch.context() as broken:
        broken.setattr("capstone_utils.ingestion.streaming.dead_letters.TIMEOUT_SECONDS", 0.0)
        with pytest.raises(KafkaTimeoutError):
            consume_all(broker, topic, 1)
    assert consume_all(broker, topic, 1).dead_letters.total() == 1
    assert sum(end_offsets(broker.bootstrap_servers, f"{topic}.dead-letter").values()) >= 1


def test_unicode_is_no_reason_to_refuse(broker, topic):
    payment = GOOD._replace(location="東京", merchant="Café Müller 🍵", device="Ωmega")
    escaped = json.dumps(payment.to_dict()).encode()
    send(broker, topic, [(b"7", payment.to_json()), (b"7", escaped)])
    read = consume_all(broker, topic, 2)
    assert [received.transaction for received in read] == [payment, payment]
