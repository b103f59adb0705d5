"""Transactions out of a topic, read as a member of a consumer group; never without an end."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from types import TracebackType
from typing import NamedTuple

from kafka import ConsumerRebalanceListener, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from capstone_utils.ingestion.streaming.consumer import Consumer, UnreadableBatch
from capstone_utils.ingestion.streaming.dead_letters import DeadLetters, Unreadable
from capstone_utils.ingestion.streaming.topics import describe_topic
from capstone_utils.settings import Settings
from capstone_utils.transaction import InvalidTransaction, Transaction

LOG = logging.getLogger(__name__)
COORDINATOR_TIMEOUT_MS = 10_000
SESSION_TIMEOUT_MS = 10_000  # a member that was killed keeps its partitions for so long; the default is 45 s
BATCH_MESSAGES = 2_000


class Received(NamedTuple):
    """A transaction and its place; `timestamp_ms`: when its producer handed it over, in epoch milliseconds."""

    transaction: Transaction
    partition: int
    offset: int
    timestamp_ms: int


class Consumed(list[Received]):
    """The transactions in the order read, how many messages were unreadable, and which partitions were ours.

    `dead_letters` counts by the field that was wrong ("message": no JSON object at all). `assignments` has one entry
    each time the group shared out the partitions: the last one is what this consumer had at the end. `unreadable` has
    the batches that could not be unpacked; nothing behind them was read, and nothing of them is committed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.dead_letters: Counter[str] = Counter()
        self.assignments: list[tuple[int, ...]] = []
        self.unreadable: list[UnreadableBatch] = []


def consume(
    bootstrap_servers: str,
    topic: str,
    group: str,
    max_messages: int,
    deadline_seconds: float,
    dead_letter_topic: str = Settings.dead_letter_topic,
) -> Consumed:
    """Up to `max_messages` messages, readable or not, read as a new member of the group until the deadline.

    Raises:
        TopicError, NoBroker: when there is no such topic, no broker.
    """
    consumed = Consumed()
    with TransactionReader(bootstrap_servers, topic, group, dead_letter_topic) as reader:
        for batch in reader.batches(max_messages, deadline_seconds):
            consumed += batch
        consumed.dead_letters, consumed.assignments = reader.dead_letters.count, reader.assignments
        consumed.unreadable = reader.unreadable
    return consumed


class TransactionReader:
    """One member of a consumer group, for one thread. Unreadable messages go to the dead-letter topic, none is lost.

    A message is committed once the next batch is asked for: after a crash the last batch is read again. A partition
    with a batch that cannot be unpacked is not read on; the log says so, and the others are.
    """

    def __init__(
        self, bootstrap_servers: str, topic: str, group: str, dead_letter_topic: str = Settings.dead_letter_topic
    ) -> None:
        describe_topic(bootstrap_servers, topic)
        self.assignments: list[tuple[int, ...]] = []
        self.unreadable: list[UnreadableBatch] = []
        self.dead_letters = DeadLetters(bootstrap_servers, dead_letter_topic)
        self._consumer = Consumer(
            bootstrap_servers,
            group_id=group,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        self._consumer.subscribe([topic], listener=_AssignmentLog(self.assignments))

    def batches(self, max_messages: int, deadline_seconds: float) -> Iterator[list[Received]]:
        """Batches of at most 2,000 transactions as they arrive, until so many messages were read or the time is up."""
        deadline = time.monotonic() + deadline_seconds
        while max_messages > 0 and (left_seconds := deadline - time.monotonic()) > 0:
            try:
                polled = self._consumer.poll(left_seconds * 1000, max_records=min(BATCH_MESSAGES, max_messages))
            except UnreadableBatch as reason:
                LOG.error("%s", reason)
                self.unreadable.append(reason)
                self._consumer.pause(TopicPartition(reason.topic, reason.partition))
                continue
            if not polled:
                continue
            records = [record for partition in polled.values() for record in partition]
            max_messages -= len(records)
            batch = self._parse(records)
            if batch:
                yield batch
            self._consumer.commit(timeout_ms=COORDINATOR_TIMEOUT_MS)

    def close(self) -> None:
        """Leave the group; its other members take over the partitions."""
        self._consumer.close(timeout_ms=COORDINATOR_TIMEOUT_MS)
        self.dead_letters.close()

    def _parse(self, records: list[ConsumerRecord]) -> list[Received]:
        batch, unreadable = [], []
        for record in records:
            try:
                transaction = Transaction.from_record(record.key, record.value, record.timestamp)
            except InvalidTransaction as reason:
                unreadable.append(Unreadable(record, reason))
            else:
                batch.append(Received(transaction, record.partition, record.offset, record.timestamp))
        if unreadable:
            self.dead_letters.put(unreadable)
        return batch

    def __enter__(self) -> TransactionReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _AssignmentLog(ConsumerRebalanceListener):
    def __init__(self, assignments: list[tuple[int, ...]]) -> None:
        self.assignments = assignments

    def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        """Do nothing: what was handed out is committed before the next poll, and only a poll revokes."""

    def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        self.assignments.append(tuple(sorted(partition.partition for partition in assigned)))
