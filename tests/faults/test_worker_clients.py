"""Both Kafka clients keep the seam's promises: positions first, transactions that end, a broker that is gone."""

import time
import uuid
from dataclasses import replace

import pytest
from kafka import KafkaConsumer, TopicPartition

from capstone_utils.ingestion.broker.broker import start_broker
from capstone_utils.ingestion.streaming.topics import create_topics
from capstone_utils.serving.worker import confluent_client
from capstone_utils.serving.worker.client import Lost, Output, Position
from capstone_utils.serving.worker.main import open_client

CLIENTS = ("kafka-python", "confluent")
LONGER_THAN_THE_TRANSACTION_TIMEOUT = 31


@pytest.fixture
def settings(broker):
    """Settings with topics and a group of the test's own."""
    return with_topics(broker.settings)


def with_topics(settings, **changes):
    name = uuid.uuid4().hex
    topics = {"transactions_topic": f"transactions-{name}", "scores_topic": f"scores-{name}"}
    create_topics(settings.bootstrap_servers, dict.fromkeys(topics.values(), 2))
    return replace(settings, worker_group=f"group-{name}", **topics, **changes)


def first_positions(client):
    """The positions that the first polls bring, once the group has come together."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        records, moved = client.poll(0.2, 100)
        assert not records, "records came before anybody was told where they are"
        if moved:
            return moved
    raise AssertionError("no partition within 30 s")


def last_stable_offset(settings):
    """The offset up to which a reader of committed records may read the partition 0 of the scores."""
    here = TopicPartition(settings.scores_topic, 0)
    with KafkaConsumer(bootstrap_servers=settings.bootstrap_servers, isolation_level="read_committed") as reader:
        return reader.end_offsets([here])[here]


@pytest.mark.parametrize("kind", CLIENTS)
def test_the_first_poll_says_where_reading_begins(settings, kind):
    client = open_client(replace(settings, kafka_client=kind))
    try:
        assert first_positions(client) == {0: Position(0, 0), 1: Position(0, 0)}
        assert client.rewind() == {0: Position(0, 0), 1: Position(0, 0)}
    finally:
        client.close()


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_client_that_is_closed_aborts_its_open_transaction(settings, kind, wait_until):
    client = open_client(replace(settings, kafka_client=kind))
    first_positions(client)
    client.produce([Output(settings.scores_topic, 0, b"7", b"a score of a batch that is given up")])
    client.producer.flush()  # it is in the log, and holds up all readers of what is committed
    assert last_stable_offset(settings) == 0
    began = time.monotonic()
    client.close()
    wait_until(lambda: last_stable_offset(settings) > 0)
    assert time.monotonic() - began < LONGER_THAN_THE_TRANSACTION_TIMEOUT / 2


@pytest.mark.parametrize("kind", CLIENTS)
def test_with_the_broker_gone_a_batch_is_lost_and_the_lag_is_not_known_and_no_more(
    fresh, kind, broker_processes, monkeypatch
):
    monkeypatch.setitem(confluent_client.PRODUCER, "queue.buffering.max.messages", 10)
    with start_broker(fresh) as broker:
        settings = with_topics(broker.settings, kafka_client=kind)
        client = open_client(settings)
        first_positions(client)
        (java,) = broker_processes(fresh)
        java.kill()
        java.wait(30)
        output = Output(settings.scores_topic, 0, b"7", b"{}")
        monkeypatch.setattr(confluent_client, "SECONDS", 2.0)
        if kind == "confluent":  # more than its queue holds; kafka-python's would wait for two minutes
            with pytest.raises(Lost):
                client.produce([output] * 11)
        assert set(client.lag()) <= {0, 1}
        client.close()
