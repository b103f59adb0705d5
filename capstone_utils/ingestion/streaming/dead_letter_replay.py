"""Pending dead letters, and their replay after a fix: nothing is lost, nothing is sent twice.

A group's committed offset divides the topic: what lies before it was tried again. What is still unreadable then goes
to the topic's end, in the same transaction.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from kafka import OffsetAndMetadata, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError

from capstone_utils.errors import CapstoneError
from capstone_utils.ingestion.streaming.clients import Producer, RecordValue, was_fenced
from capstone_utils.ingestion.streaming.consumer import Consumer
from capstone_utils.ingestion.streaming.dead_letters import MAX_BYTES, headers_before, own_headers
from capstone_utils.ingestion.streaming.partition_log import read_partition
from capstone_utils.ingestion.streaming.topics import describe_topic
from capstone_utils.settings import Settings
from capstone_utils.transaction import InvalidTransaction, Transaction

GROUP = "dead-letter-replay"
BATCH = 500
CLOSE_SECONDS = 5.0
SHOWN_BYTES = 80


class AnotherReplay(CapstoneError):
    """Another replay began meanwhile, and goes on where this one was."""


class DeadLetter(NamedTuple):
    """An unreadable message, its source and the reason."""

    offset: int
    source: str
    reason: str
    value: bytes | None

    def __str__(self) -> str:
        shown = repr(self.value)
        shown = shown if len(shown) <= SHOWN_BYTES else f"{shown[:SHOWN_BYTES]}... ({len(self.value or b''):,} bytes)"
        return f"{self.offset:6}  from {self.source}: {self.reason}\n        {shown}"


class Replay(NamedTuple):
    """The outcome of a replay: dead letters by what became of them."""

    sent: int
    unreadable: int

    def __str__(self) -> str:
        return f"{self.sent:,} sent again, {self.unreadable:,} are still unreadable and wait for another fix"


def pending_dead_letters(settings: Settings) -> Iterator[DeadLetter]:
    """The dead letters that were not tried again since they came, the oldest first.

    Raises:
        TopicError, NoBroker: when there is no dead-letter topic, no broker.
    """
    describe_topic(settings.bootstrap_servers, settings.dead_letter_topic)
    return map(_dead_letter, _pending(settings))


def replay(settings: Settings) -> Replay:
    """Send each that is readable now to its topic, under its user's key and with its own headers, as if it came now.

    The producer partitions by the key, so it lies beside its user's other transactions.

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
        producer.init_transactions()  # fences an earlier replay; read the committed offset only after that
        pending = _pending(settings)
        while batch := list(islice(pending, BATCH)):
            readable = _send(producer, settings, batch)
            sent, unreadable = sent + readable, unreadable + len(batch) - readable
    except KafkaError as error:
        if was_fenced(error):
            raise AnotherReplay("another replay began meanwhile and goes on; what this one committed stays") from error
        raise
    finally:
        producer.close(CLOSE_SECONDS)  # all that counts is committed by now
    return Replay(sent, unreadable)


def _send(producer: Producer, settings: Settings, batch: list[ConsumerRecord]) -> int:
    """Send the batch and commit it as tried, in one transaction; how many were readable."""
    readable = 0
    producer.begin_transaction()
    for record in batch:
        transaction = _transaction(record.value)
        if transaction is None:
            producer.send(settings.dead_letter_topic, record, record.key, own_headers(record.headers), 0)
        else:
            producer.send(settings.transactions_topic, record, transaction.key, headers_before(record.headers))
            readable += 1
    partition = TopicPartition(settings.dead_letter_topic, 0)
    producer.send_offsets_to_transaction({partition: OffsetAndMetadata(batch[-1].offset + 1, "", -1)}, GROUP)
    producer.commit_transaction()
    return readable


def _transaction(value: bytes | None) -> Transaction | None:
    """The transaction in a dead letter, whatever key it lay under; None when it is unreadable or not due yet."""
    try:
        transaction = Transaction.from_json(value)
        transaction.check_clock(time.time_ns() // 1000, "this clock")
    except InvalidTransaction:
        return None
    return transaction


def _pending(settings: Settings) -> Iterator[ConsumerRecord]:
    servers, topic = settings.bootstrap_servers, settings.dead_letter_topic
    with Consumer(servers, group_id=GROUP, enable_auto_commit=False, isolation_level="read_committed") as consumer:
        tried = consumer.committed(TopicPartition(topic, 0)) or 0
    return read_partition(servers, topic, 0, tried)


def _dead_letter(record: ConsumerRecord) -> DeadLetter:
    headers = {name: value.decode(errors="replace") for name, value in own_headers(record.headers)}
    topic, partition, offset = (headers.get(f"source_{name}", "?") for name in ("topic", "partition", "offset"))
    source = f"{topic}/{partition}, offset {offset}"
    return DeadLetter(record.offset, source, headers.get("reason", "?"), record.value)
