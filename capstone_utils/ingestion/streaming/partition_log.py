"""The records of a topic, read by offset and without a consumer group: the log is the truth."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from kafka import TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from capstone_utils.errors import CapstoneError
from capstone_utils.ingestion.streaming.consumer import Consumer
from capstone_utils.ingestion.streaming.topics import describe_topic

STILL_SECONDS = 30.0  # without a record, while there should be some
POLL_RECORDS = 5_000


class SilentLog(CapstoneError):
    """A partition whose records do not come."""


def read_topic(bootstrap_servers: str, topic: str) -> Iterator[ConsumerRecord]:
    """The committed records that the topic holds now: partition after partition, each in the order of its offsets.

    Raises:
        TopicError, NoBroker: when there is no such topic, no broker.
        SilentLog, UnreadableBatch: when records do not come, or cannot be unpacked.
    """
    partitions = [state.partition for state in describe_topic(bootstrap_servers, topic)]
    return (record for number in partitions for record in read_partition(bootstrap_servers, topic, number))


def read_partition(
    bootstrap_servers: str, topic: str, partition: int, start: int = 0, end: int | None = None
) -> Iterator[ConsumerRecord]:
    """The committed records from offset `start` (or where the log begins now) up to before `end` (its end now).

    Raises:
        SilentLog, UnreadableBatch: when they do not come, or cannot be unpacked.
    """
    if end is not None and start >= end:
        return
    here = TopicPartition(topic, partition)
    with assigned_consumer(bootstrap_servers, [here]) as consumer:
        start = max(start, consumer.beginning_offsets([here])[here])
        end = consumer.end_offsets([here])[here] if end is None else end
        consumer.seek(here, start)
        moved = time.monotonic()
        while (position := consumer.position(here, timeout_ms=0)) is None or position < end:
            polled = consumer.poll(500, max_records=POLL_RECORDS)
            if polled or consumer.position(here, timeout_ms=0) != position:
                moved = time.monotonic()
            elif time.monotonic() - moved > STILL_SECONDS:
                raise SilentLog(
                    f"{topic}/{partition} gave nothing after offset {position} of {end} for {STILL_SECONDS:.0f} s"
                )
            for record in polled.get(here, ()):
                if record.offset < end:
                    yield record


def assigned_consumer(bootstrap_servers: str, partitions: Iterable[TopicPartition]) -> Consumer:
    """A consumer of these partitions that belongs to no group and sees committed records only."""
    consumer = Consumer(bootstrap_servers, enable_auto_commit=False, isolation_level="read_committed")
    consumer.assign(list(partitions))
    return consumer
