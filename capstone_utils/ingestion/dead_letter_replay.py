"""What waits in the dead-letter topic, and trying it again after a fix: nothing is lost, nothing is sent twice.

A group's committed offset divides the topic: what lies before it was tried again. What is still unreadable then goes
to the topic's end, in the same transaction.
"""

from __future__ import annotations

from typing import NamedTuple

from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from capstone_utils.ingestion.clients import PRODUCER
from capstone_utils.ingestion.dead_letters import MAX_BYTES
from capstone_utils.ingestion.log import read_partition
from capstone_utils.ingestion.topics import describe_topic
from capstone_utils.settings import Settings
from capstone_utils.transaction import InvalidTransaction, Transaction

GROUP = "dead-letter-replay"
BATCH = 500
SHOWN_BYTES = 80


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


def waiting_letters(settings: Settings) -> list[Letter]:
    """The letters that were not tried again since they came, the oldest first.

    Raises:
        TopicError, NoBroker: when there is no dead-letter topic, no broker.
    """
    return [_letter(record) for record in _waiting(settings)]


def replay(settings: Settings) -> Replay:
    """Send what is readable now to its topic, under its user's key, as a payment that arrives now.

    Raises:
        TopicError, NoBroker: when there is no dead-letter topic, no broker.
    """
    waiting, sent = _waiting(settings), 0
    producer = KafkaProducer(
        bootstrap_servers=settings.bootstrap_servers,
        transactional_id=GROUP,  # a second replay at the same time is fenced
        **PRODUCER | {"max_request_size": MAX_BYTES},
    )
    try:
        producer.init_transactions()
        for first in range(0, len(waiting), BATCH):
            batch = waiting[first : first + BATCH]
            producer.begin_transaction()
            for record in batch:
                payment = _payment(record.value)
                if payment is None:
                    producer.send(settings.dead_letter_topic, record.value, record.key or b"", list(record.headers), 0)
                else:
                    producer.send(settings.transactions_topic, record.value, payment.key)
                    sent += 1
            where = TopicPartition(settings.dead_letter_topic, 0)
            offsets = {where: OffsetAndMetadata(batch[-1].offset + 1, "", -1)}
            producer.send_offsets_to_transaction(offsets, GROUP)
            producer.commit_transaction()
    finally:
        producer.close()
    return Replay(sent, len(waiting) - sent)


def _payment(value: bytes | None) -> Transaction | None:
    """The payment in a letter, whatever key it lay under; None when there is none."""
    try:
        return Transaction.from_message(value)
    except InvalidTransaction:
        return None


def _waiting(settings: Settings) -> list[ConsumerRecord]:
    where = settings.bootstrap_servers
    describe_topic(where, settings.dead_letter_topic)
    with KafkaConsumer(bootstrap_servers=where, group_id=GROUP, enable_auto_commit=False) as consumer:
        tried = consumer.committed(TopicPartition(settings.dead_letter_topic, 0)) or 0
    return list(read_partition(where, settings.dead_letter_topic, 0, tried))


def _letter(record: ConsumerRecord) -> Letter:
    headers = {name: value.decode(errors="replace") for name, value in record.headers}
    topic, partition, offset = (headers.get(f"source_{name}", "?") for name in ("topic", "partition", "offset"))
    source = f"{topic}/{partition}, offset {offset}"
    return Letter(record.offset, source, headers.get("reason", "?"), record.value)
