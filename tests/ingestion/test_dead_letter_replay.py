"""Dead letters are listed with their reasons and tried again after a fix; none is lost, none sent twice."""

from dataclasses import replace

import pytest
from kafka import KafkaProducer

from capstone_utils.ingestion import dead_letters
from capstone_utils.ingestion.dead_letter_replay import replay, waiting_letters
from capstone_utils.ingestion.log import read_partition
from capstone_utils.ingestion.simulator import SimulatorConfig, simulate, transactions_of
from capstone_utils.ingestion.stream import consume
from capstone_utils.ingestion.topics import TopicError
from capstone_utils.transaction import Transaction


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


def test_what_is_readable_now_is_sent_under_its_user_s_key_and_the_rest_waits_on(settings):
    payments = spoil(settings, 3)
    waiting = waiting_letters(settings)
    assert [letter.reason.split("=")[0].split(" ")[0] for letter in waiting].count("key") == 3
    assert f"from {settings.transactions_topic}/" in str(waiting[0])
    assert replay(settings) == (3, 1)
    found = [
        Transaction.from_record(record.key, record.value)
        for part in range(4)
        for record in read_partition(settings.bootstrap_servers, settings.transactions_topic, part)
        if record.key
    ]
    assert sorted(found) == sorted(payments)
    (left,) = waiting_letters(settings)
    assert left.value == b'{"no": "payment"}'
    assert replay(settings) == (0, 1)  # a second time sends nothing twice
    assert len(waiting_letters(settings)) == 1


def test_without_a_dead_letter_topic_it_says_so(settings):
    with pytest.raises(TopicError, match="there is no topic"):
        waiting_letters(settings)


def test_a_large_letter_is_shown_short(settings):
    dead_letters.ensure_dead_letter_topic(settings.bootstrap_servers, settings.dead_letter_topic)
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers, max_request_size=2**24)
    producer.send(settings.dead_letter_topic, b"x" * 5_000_000, b"7", [], 0)
    producer.close()
    (letter,) = waiting_letters(settings)
    assert "5,000,000 bytes" in str(letter)
    assert len(str(letter)) < 300
