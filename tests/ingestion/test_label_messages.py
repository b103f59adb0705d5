"""What is a label and what is not, and that the refusal says so; reports lie beside their payments, at their time."""

import json
from dataclasses import replace as changed

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.admin import ConfigResource, ConfigResourceType

from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.labels import SOURCES, InvalidLabel, Label
from capstone_utils.ingestion.simulation.reported_labels import reports
from capstone_utils.ingestion.simulation.simulator import SimulatorConfig, simulate
from capstone_utils.ingestion.streaming.clients import open_admin
from capstone_utils.ingestion.streaming.dead_letter_replay import replay as replay_dead_letters
from capstone_utils.ingestion.streaming.dead_letters import DeadLetters, Unreadable
from capstone_utils.ingestion.streaming.partition_log import read_topic
from capstone_utils.ingestion.streaming.producer import replay
from capstone_utils.transaction import DAY_US, MIN_TIME_US, Transaction

LABEL = Label(42, 7, True, 1_769_904_000_250_000, 1_770_076_800_000_000, "customer")
RECORD_MS = LABEL.known_at_us // 1000
identifiers = st.integers(0, 2**63 - 1)


@given(
    identifiers, identifiers, st.booleans(), st.integers(0, 10**15), st.integers(0, 10**14), st.sampled_from(SOURCES)
)
def test_a_label_comes_back_from_its_message_as_it_went(transaction_id, user_id, is_fraud, since, delay, source):
    time_us = MIN_TIME_US + since
    label = Label(transaction_id, user_id, is_fraud, time_us, time_us + delay, source)
    assert Label.from_json(label.to_json()) == label


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"is_fraud": 1}, "is_fraud=1 is not true or false"),
        ({"source": "rumour"}, "source='rumour' is not one of customer, analyst, chargeback"),
        ({"source": []}, r"source=\[\] is not one of"),
        ({"user_id": -7}, "user_id=-7 is not an integer from 0"),
        ({"transaction_id": "42"}, "transaction_id='42' is not an integer"),
        ({"timestamp": None}, "timestamp=None is not epoch seconds"),
        ({"known_at": 1e30}, "known_at=1e.30 is not a time from 2000 to 2100"),
        ({"known_at": 1_769_904_000}, "known_at=1769904000 is not at or after the timestamp 1769904000.25"),
        ({"schema_version": 2}, "schema_version=2 is not the known version 1"),
    ],
)
def test_a_wrong_field_is_named_with_its_value_and_what_would_be_right(change, reason):
    with pytest.raises(InvalidLabel, match=f"^{reason}"):
        Label.from_json(json.dumps(json.loads(LABEL.to_json()) | change))


@pytest.mark.parametrize("field", ["transaction_id", "user_id", "is_fraud", "timestamp", "known_at", "source"])
def test_a_missing_field_is_named(field):
    fields = json.loads(LABEL.to_json())
    del fields[field]
    with pytest.raises(InvalidLabel, match=f"^{field} is missing"):
        Label.from_json(json.dumps(fields))


@pytest.mark.parametrize("message", [None, b"", b"[1]", b'{"is_fraud": tr'])
def test_what_is_no_json_object_is_refused_as_a_message(message):
    with pytest.raises(InvalidLabel, match=r"^message="):
        Label.from_json(message)


def test_a_label_under_another_key_or_from_the_future_is_refused():
    assert Label.from_record(b"7", LABEL.to_json(), RECORD_MS) == LABEL
    with pytest.raises(InvalidLabel, match=r"^key=b'8' is not the user's, b'7'"):
        Label.from_record(b"8", LABEL.to_json(), RECORD_MS)
    with pytest.raises(InvalidLabel, match=r"^known_at=1770076800\.0 is not at most a day ahead of the record's"):
        Label.from_record(b"7", LABEL.to_json(), RECORD_MS - DAY_US // 1000 - 1)


@pytest.fixture(scope="module")
def stream():
    return simulate(SimulatorConfig(seed=3, customers=200, days=10))


def test_only_what_was_reported_becomes_a_message_and_in_the_order_in_which_it_becomes_known(stream):
    messages = reports(stream.transactions, stream.labels)
    assert [label.known_at_us for label in messages] == sorted(label.known_at_us for label in messages)
    reported = stream.labels[stream.labels["is_fraud"]]
    known = reported.set_index("transaction_id")["known_at_us"]
    assert {label.transaction_id: label.known_at_us for label in messages} == known.to_dict()
    assert {label.source for label in messages} == {"customer", "chargeback"}


def test_payments_and_reports_go_out_at_one_pace_a_report_in_the_partition_of_its_payment(stream, broker, topic):
    settings = changed(broker.settings, transactions_topic=topic, labels_topic=f"{topic}-labels")
    transactions = list(transactions_of(stream.transactions))
    messages = reports(stream.transactions, stream.labels)
    span = messages[-1].known_at_us - transactions[0].event_time_us
    report = replay(settings, transactions, messages, speed=span / 1e6 / 2)
    assert (report.sent, report.failed) == (len(transactions) + len(messages), 0)
    assert report.seconds >= 2
    payments = {
        Transaction.from_json(record.value).transaction_id: record
        for record in read_topic(settings.bootstrap_servers, topic)
    }
    first_ms = min(record.timestamp for record in payments.values())
    labels = list(read_topic(settings.bootstrap_servers, settings.labels_topic))
    assert len(labels) == len(messages)
    for record in labels:
        label = Label.from_record(record.key, record.value, record.timestamp)
        payment = payments[label.transaction_id]
        assert record.partition == payment.partition
        due_ms = (label.known_at_us - transactions[0].event_time_us) / span * 2000
        assert record.timestamp - first_ms > due_ms - 200, "known before its time"
    with open_admin(settings.bootstrap_servers) as admin:
        found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, settings.labels_topic)])
    assert "'retention.ms'" in repr(found)
    assert "-1" in repr(found)


@pytest.mark.parametrize("speed", [0, -1.0, float("nan")])
def test_a_speed_that_is_none_is_refused(broker, speed):
    with pytest.raises(ValueError, match="is not above 0"):
        replay(broker.settings, [], [], speed)


def test_a_label_that_could_not_be_read_goes_back_to_the_labels_after_a_fix(broker, topic):
    settings = changed(broker.settings, labels_topic=topic, dead_letter_topic=f"{topic}-dead")
    replay(settings, [], [LABEL])
    (record,) = read_topic(settings.bootstrap_servers, topic)
    letters = DeadLetters(settings.bootstrap_servers, settings.dead_letter_topic)
    letters.put([Unreadable(record, InvalidLabel("source", "customer", "known to an earlier version"))])
    letters.close()
    assert replay_dead_letters(settings) == (1, 0)
    again = list(read_topic(settings.bootstrap_servers, topic))
    assert [Label.from_json(each.value) for each in again] == [LABEL, LABEL]
    assert {(each.key, each.partition) for each in again} == {(b"7", record.partition)}
