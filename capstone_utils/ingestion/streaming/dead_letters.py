"""The dead-letter topic: unreadable messages as they came, each with its source and the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kafka.admin import ConfigResource, ConfigResourceType
from kafka.consumer.fetcher import ConsumerRecord

from capstone_utils.ingestion.streaming.clients import Producer, RecordValue, open_admin
from capstone_utils.ingestion.streaming.topics import ensure_topic
from capstone_utils.transaction import InvalidTransaction

MAX_BYTES = 16 * 2**20  # more than another topic takes: the largest message must fit with its headers
ADDED = ("reason", "source_topic", "source_partition", "source_offset")  # to a dead letter's headers, at their end
TIMEOUT_SECONDS = 40.0  # longer than the producer's own delivery timeout


class Unreadable(NamedTuple):
    """A message that is no transaction, and why."""

    record: ConsumerRecord
    reason: InvalidTransaction


class DeadLetters:
    """A reader's way out for what it cannot read. The topic and the connection are made when the first one comes.

    `count` has the number of messages by the field that was wrong ("message": no JSON object at all).
    """

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self.topic = topic
        self.count: Counter[str] = Counter()
        self._bootstrap_servers = bootstrap_servers
        self._producer: Producer | None = None

    def put(self, unreadable: Sequence[Unreadable]) -> None:
        """Write the messages unchanged, and return when the broker has acknowledged each.

        The headers added are reason, source_topic, source_partition and source_offset, as UTF-8 text.

        Raises:
            KafkaError: when one was not acknowledged; then the source's offset must not be committed.
        """
        producer = self._producer = self._producer or self._open()
        futures = [
            producer.send(self.topic, record, key=record.key, headers=_headers(record, reason))
            for record, reason in unreadable
        ]
        for future in futures:
            future.get(TIMEOUT_SECONDS)
        self.count.update(reason.field for _, reason in unreadable)

    def _open(self) -> Producer:
        ensure_dead_letter_topic(self._bootstrap_servers, self.topic)
        return Producer(
            self._bootstrap_servers, value_serializer=RecordValue(), max_request_size=MAX_BYTES, linger_ms=0
        )

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._producer is not None:
            self._producer.close()


def ensure_dead_letter_topic(bootstrap_servers: str, topic: str) -> None:
    """Make the topic if it is not there, and let it take messages of `MAX_BYTES`."""
    ensure_topic(bootstrap_servers, topic, partitions=1)
    with open_admin(bootstrap_servers) as admin:
        limit = {"max.message.bytes": str(MAX_BYTES)}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, limit)])


def dead_letter_headers(
    headers: Iterable[tuple[str, bytes | None]], topic: str, partition: int, offset: int, reason: InvalidTransaction
) -> list[tuple[str, bytes]]:
    """An unreadable message's own headers, and where it lay and what was wrong with it, as UTF-8 text."""
    return [
        *own_headers(headers),
        ("reason", str(reason).encode()),
        *source_headers(topic, partition, offset),
    ]


def source_headers(topic: str, partition: int, offset: int) -> list[tuple[str, bytes]]:
    """Where a message lay, as UTF-8 text."""
    return [
        ("source_topic", topic.encode()),
        ("source_partition", b"%d" % partition),
        ("source_offset", b"%d" % offset),
    ]


def headers_before(headers: Iterable[tuple[str, bytes | None]]) -> list[tuple[str, bytes]]:
    """The headers that a dead letter's message came with."""
    own = own_headers(headers)
    return own[: -len(ADDED)] if tuple(name for name, _ in own[-len(ADDED) :]) == ADDED else own


def own_headers(headers: Iterable[tuple[str, bytes | None]]) -> list[tuple[str, bytes]]:
    """A message's headers as kafka-python sends them: it knows no null, so that becomes empty."""
    return [(name, value or b"") for name, value in headers]


def _headers(record: ConsumerRecord, reason: InvalidTransaction) -> list[tuple[str, bytes]]:
    return dead_letter_headers(record.headers, record.topic, record.partition, record.offset, reason)
