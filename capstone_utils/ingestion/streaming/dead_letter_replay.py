"""What waits in the dead-letter topic, and trying it again after a fix: nothing is lost, nothing is sent twice.

A group's committed offset divides the topic: what lies before it was tried again. What is still unreadable then goes
to the topic's end, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError

from capstone_utils.ingestion.streaming.clients import Producer, RecordValue, was_fenced
from capstone_utils.ingestion.streaming.dead_letters import MAX_BYTES, own_headers
from capstone_utils.ingestion.streaming.partition_log import read_partition
from capstone_utils.ingestion.streaming.topics import describe_topic
from capstone_utils.settings import Settings
from capstone_utils.transaction import InvalidTransaction, Transaction

GROUP = "dead-letter-replay"
BATCH = 500
SHOWN_BYTES = 80


class AnotherReplay(RuntimeError):
    """Another replay began meanwhile, and goes on where this one was."""


class Letter(NamedTuple):
    """A dead letter, where it came from and why."""

    offset: int
    source: str
    reason: str
    value: bytes | None

    def __str__(self) -> str:
        shown = repr(self.value)
        shown = shown if len(shown) <= SHOWN_BYTES else f"{shown[:SHOWN_BYTES]}... ({len(self.value or b''):,} bytes)"
        return f"{self.offset:6}  from {self.source}: {self.reason}\n        {shown}"


class Replay(NamedTuple):
    """What became of the letters."""

    sent: int
    unreadable: int

    def __str__(self) -> str:
        return f"{self.sent:,} sent again, {self.unreadable:,} are still unreadable and wait for another fix"


def waiting_letters(settings: Settings) -> Iterator[Letter]:
    """The letters that were not tried again since they came, the oldest first.

    Raises:
        TopicError, NoBroker: when there is no dead-letter topic, no broker.
    """
    describe_topic(settings.bootstrap_servers, settings.dead_letter_topic)
    return map(_letter, _waiting(settings))


def replay(settings: Settings) -> Replay:
    """Send what is readable now to its topic, under its user's key, as a payment that arrives now.

    Raises:
        TopicError, NoBroker: when there is no dead-letter topic, no broker.
        AnotherReplay: when one began meanwhile.
    """
    describe_topic(settings.bootstrap_servers, settings.dead_letter_topic)
    producer = Producer(
        settings.bootstrap_servers,
        transactional_id=GROUP,
        value_serializer=RecordValue(),
        max_request_size=MAX_BYTES,
    )
    sent = unreadable = 0
    try:
        producer.init_transactions()  # an earlier replay that still runs is fenced; only then is looked what is left
        waiting = _waiting(settings)
        while batch := list(islice(waiting, BATCH)):
            readable = _send(producer, settings, batch)
            sent, unreadable = sent + readable, unreadable + len(batch) - readable
    except KafkaError as error:
        if was_fenced(error):
            raise AnotherReplay("another replay began meanwhile and goes on; what this one committed stays") from error
        raise
    finally:
        producer.close()
    return Replay(sent, unreadable)


def _send(producer: Producer, settings: Settings, batch: list[ConsumerRecord]) -> int:
    """Send the batch and commit it as tried, in one transaction; how many were readable."""
    readable = 0
    producer.begin_transaction()
    for record in batch:
        payment = _payment(record.value)
        if payment is None:
            producer.send(settings.dead_letter_topic, record, record.key, own_headers(record.headers), 0)
        else:
            producer.send(settings.transactions_topic, record, payment.key)
            readable += 1
    where = TopicPartition(settings.dead_letter_topic, 0)
    producer.send_offsets_to_transaction({where: OffsetAndMetadata(batch[-1].offset + 1, "", -1)}, GROUP)
    producer.commit_transaction()
    return readable


def _payment(value: bytes | None) -> Transaction | None:
    """The payment in a letter, whatever key it lay under; None when there is none."""
    try:
        return Transaction.from_json(value)
    except InvalidTransaction:
        return None


def _waiting(settings: Settings) -> Iterator[ConsumerRecord]:
    where = settings.bootstrap_servers
    with KafkaConsumer(
        bootstrap_servers=where, group_id=GROUP, enable_auto_commit=False, isolation_level="read_committed"
    ) as consumer:
        tried = consumer.committed(TopicPartition(settings.dead_letter_topic, 0)) or 0
    return read_partition(where, settings.dead_letter_topic, 0, tried)


def _letter(record: ConsumerRecord) -> Letter:
    headers = {name: value.decode(errors="replace") for name, value in own_headers(record.headers)}
    topic, partition, offset = (headers.get(f"source_{name}", "?") for name in ("topic", "partition", "offset"))
    source = f"{topic}/{partition}, offset {offset}"
    return Letter(record.offset, source, headers.get("reason", "?"), record.value)
