"""Topics are made, made afresh and described on a real broker."""

import socket

import pytest
from kafka import KafkaProducer

from capstone_utils.ingestion.streaming import topics
from capstone_utils.ingestion.streaming.clients import NoBroker
from capstone_utils.ingestion.streaming.reader import consume
from capstone_utils.ingestion.streaming.topics import (
    TopicError,
    create_topics,
    describe_topic,
    end_offsets,
    ensure_topic,
    recreate_topic,
)
from capstone_utils.transaction import Transaction

PAYMENT = Transaction(1, 7, 1999, 1_767_225_600_500_000, "NY", "Amazon", "mobile")


def send(broker, topic, count=1):
    with KafkaProducer(bootstrap_servers=broker.bootstrap_servers) as producer:
        for future in [producer.send(topic, PAYMENT.to_json(), PAYMENT.key) for _ in range(count)]:
            future.get(10)


def test_a_topic_that_is_there_already_is_left_as_it_is(broker, topic):
    send(broker, topic, 3)
    create_topics(broker.bootstrap_servers, {topic: 4})
    assert sum(end_offsets(broker.bootstrap_servers, topic).values()) == 3


def test_a_missing_topic_is_made_once_and_its_partitions_are_told(broker, topic):
    name = f"{topic}-more"
    assert ensure_topic(broker.bootstrap_servers, name, 2) == 2
    assert ensure_topic(broker.bootstrap_servers, name, 8) == 2, "one that is there stays as it is"
    assert len(describe_topic(broker.bootstrap_servers, name)) == 2


def test_another_number_of_partitions_is_refused_by_both_numbers(broker, topic):
    with pytest.raises(TopicError, match=f"{topic} exists with 4 partitions, 2 were asked for"):
        create_topics(broker.bootstrap_servers, {topic: 2})


def test_a_topic_made_afresh_is_empty_and_its_groups_start_again(broker, topic):
    for partitions in (4, 2, 1):
        send(broker, topic, 3)
        assert len(consume(broker.bootstrap_servers, topic, f"readers-of-{topic}", 3, deadline_seconds=10)) == 3
        recreate_topic(broker.bootstrap_servers, topic, partitions)
        assert end_offsets(broker.bootstrap_servers, topic) == dict.fromkeys(range(partitions), 0)


def test_a_topic_that_was_never_there_is_made(broker):
    recreate_topic(broker.bootstrap_servers, "never-there", 2)
    assert [state.partition for state in describe_topic(broker.bootstrap_servers, "never-there")] == [0, 1]


def test_a_description_says_who_leads_and_what_is_kept(broker, topic):
    send(broker, topic, 5)
    described = describe_topic(broker.bootstrap_servers, topic)
    assert [state.leader for state in described] == [1, 1, 1, 1]
    assert sum(state.end_offset - state.begin_offset for state in described) == 5


def test_a_missing_topic_is_named_with_what_makes_it(broker):
    with pytest.raises(
        TopicError, match=r"there is no topic nowhere at .*; its first writer makes it, or create_topics"
    ):
        describe_topic(broker.bootstrap_servers, "nowhere")


def test_without_a_broker_the_error_says_where_and_what_starts_one():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(NoBroker, match=f"no Kafka broker answers at {address} .* or start_broker starts one"):
            describe_topic(address, "transactions")


def test_a_topic_whose_leader_is_being_chosen_is_asked_again(broker, topic, monkeypatch):
    describe, asked = topics._describe, []

    def without_leaders_at_first(*arguments):
        answer = describe(*arguments)
        asked.append(answer)
        if len(asked) < 3:
            return {"partitions": [each | {"leader_id": -1} for each in answer["partitions"]]}
        return answer

    monkeypatch.setattr(topics, "_describe", without_leaders_at_first)
    assert [state.leader for state in describe_topic(broker.bootstrap_servers, topic)] == [1] * 4
    assert len(asked) == 3
