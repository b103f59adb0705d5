"""Dead letters are listed with their reasons and tried again after a fix; none is lost, none sent twice."""

import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from confluent_kafka import Producer
from kafka import KafkaProducer

from capstone_utils.__main__ import parse_arguments
from capstone_utils.commands import run_command
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.simulator import SimulatorConfig, simulate
from capstone_utils.ingestion.streaming import dead_letter_replay, dead_letters
from capstone_utils.ingestion.streaming.dead_letter_replay import AnotherReplay, pending_dead_letters, replay
from capstone_utils.ingestion.streaming.partition_log import read_partition
from capstone_utils.ingestion.streaming.reader import consume
from capstone_utils.ingestion.streaming.topics import TopicError, partition_of
from capstone_utils.transaction import SECOND_US, Transaction


@pytest.fixture
def settings(broker, topic):
    return replace(broker.settings, transactions_topic=topic, dead_letter_topic=f"{topic}-dead")


def spoil(settings, count):
    """Payments without a key and garbage, read by a consumer, which puts them aside."""
    stream = simulate(SimulatorConfig(seed=1, customers=20, days=3))
    payments = list(transactions_of(stream.transactions.head(count)))
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    for payment in payments:
        producer.send(settings.transactions_topic, payment.to_json())
    producer.send(settings.transactions_topic, b'{"no": "payment"}')
    producer.close()
    where = settings.bootstrap_servers, settings.transactions_topic
    assert not consume(*where, "spoilt", count + 1, 30, settings.dead_letter_topic)
    return payments


def sent_again(settings):
    """The payments of the topic that lie under a key."""
    return sorted(
        Transaction.from_record(record.key, record.value, record.timestamp)
        for part in range(4)
        for record in read_partition(settings.bootstrap_servers, settings.transactions_topic, part)
        if record.key
    )


def test_what_is_readable_now_is_sent_under_its_user_s_key_and_the_rest_waits_on(settings):
    payments = spoil(settings, 3)
    waiting = list(pending_dead_letters(settings))
    assert [letter.reason.split("=")[0].split(" ")[0] for letter in waiting].count("key") == 3
    assert f"from {settings.transactions_topic}/" in str(waiting[0])
    assert replay(settings) == (3, 1)
    assert sent_again(settings) == sorted(payments)
    (left,) = pending_dead_letters(settings)
    assert left.value == b'{"no": "payment"}'
    assert replay(settings) == (0, 1)  # a second time sends nothing twice
    assert len(list(pending_dead_letters(settings))) == 1


def test_a_letter_goes_back_to_its_user_s_partition_with_the_headers_that_it_came_with(settings):
    spoil(settings, 0)
    where = settings.bootstrap_servers
    payments = list(transactions_of(simulate(SimulatorConfig(seed=1, customers=20, days=3)).transactions.head(20)))
    producer = Producer({"bootstrap.servers": where})
    for payment in payments:
        producer.produce(
            settings.transactions_topic, payment.to_json(), b"another", 0, headers=[("traceparent", b"00-7")]
        )
    assert producer.flush(30) == 0
    assert not consume(where, settings.transactions_topic, "wrong-keys", 21, 30, settings.dead_letter_topic)
    assert replay(settings).sent == 20
    log = [
        record
        for part in range(4)
        for record in read_partition(where, settings.transactions_topic, part)
        if record.key not in (None, b"another")
    ]
    assert sorted(record.value for record in log) == sorted(payment.to_json() for payment in payments)
    assert all(record.partition == partition_of(record.key, 4) for record in log)
    assert len({record.partition for record in log}) > 1
    assert all(record.headers == [("traceparent", b"00-7")] for record in log)


def test_a_letter_that_is_put_back_again_and_again_keeps_each_header_once(settings):
    spoil(settings, 0)
    for _ in range(3):
        assert replay(settings) == (0, 1)
    *_, left = read_partition(settings.bootstrap_servers, settings.dead_letter_topic, 0)
    assert [name for name, _ in left.headers] == ["reason", "source_topic", "source_partition", "source_offset"]


def test_a_payment_from_the_future_waits_until_its_time_has_come(settings, monkeypatch):
    dead_letters.ensure_dead_letter_topic(settings.bootstrap_servers, settings.dead_letter_topic)
    ahead_us = time.time_ns() // 1000 + 3600 * SECOND_US
    payment = Transaction(1, 7, 100, ahead_us, "NY", "Amazon", "mobile")
    with KafkaProducer(bootstrap_servers=settings.bootstrap_servers) as producer:
        producer.send(settings.dead_letter_topic, payment.to_json(), payment.key, [], 0)
    assert replay(settings) == (0, 1)
    monkeypatch.setattr(dead_letter_replay, "time", SimpleNamespace(time_ns=lambda: ahead_us * 1000))
    assert replay(settings) == (1, 0)


def test_nulls_are_listed_and_wait_on_as_they_are(settings):
    dead_letters.ensure_dead_letter_topic(settings.bootstrap_servers, settings.dead_letter_topic)
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers})
    producer.produce(settings.dead_letter_topic, None, None, 0, headers=[("reason", None), ("trace", b"7")])
    producer.flush()
    (letter,) = pending_dead_letters(settings)
    assert "None" in str(letter)
    assert replay(settings) == (0, 1)
    *_, left = read_partition(settings.bootstrap_servers, settings.dead_letter_topic, 0)
    assert (left.key, left.value, dict(left.headers)) == (None, None, {"reason": b"", "trace": b"7"})


def test_of_two_replays_at_once_one_gives_way_and_nothing_is_sent_twice(settings, monkeypatch):
    payments = spoil(settings, 10)
    monkeypatch.setattr(dead_letter_replay, "BATCH", 4)
    send, others = dead_letter_replay._send, []

    def interrupted(*given):
        if not others:
            others.append("begun")
            others.append(replay(settings))
        return send(*given)

    monkeypatch.setattr(dead_letter_replay, "_send", interrupted)
    with pytest.raises(AnotherReplay, match="another replay began meanwhile"):
        replay(settings)
    assert others[1] == (10, 1)
    assert sent_again(settings) == sorted(payments)


def test_the_command_lists_some_counts_all_and_replays(settings, monkeypatch, capsys):
    spoil(settings, 3)
    for name, text in settings.to_environment().items():
        monkeypatch.setenv(name, text)
    assert run_command(parse_arguments(["dead-letters", "list", "--most", "2"])) == 0
    assert f"4 in {settings.dead_letter_topic}, 2 shown" in capsys.readouterr().out
    assert run_command(parse_arguments(["dead-letters", "replay"])) == 0
    assert "3 sent again, 1 are still unreadable" in capsys.readouterr().out


def test_without_a_dead_letter_topic_it_says_so(settings):
    with pytest.raises(TopicError, match="there is no topic"):
        pending_dead_letters(settings)


def test_a_large_letter_is_shown_short(settings):
    dead_letters.ensure_dead_letter_topic(settings.bootstrap_servers, settings.dead_letter_topic)
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers, max_request_size=2**24)
    producer.send(settings.dead_letter_topic, b"x" * 5_000_000, b"7", [], 0)
    producer.close()
    (letter,) = pending_dead_letters(settings)
    assert "5,000,000 bytes" in str(letter)
    assert len(str(letter)) < 300
