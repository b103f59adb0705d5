"""What lies in a partition of a topic, read by offsets and without a group: the log is the truth."""

from __future__ import annotations

import time
from collections.abc import Iterator

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

STILL_SECONDS = 30.0  # without a record, while there should be some
POLL_RECORDS = 5_000


class SilentLog(RuntimeError):
    """A partition whose records do not come."""


def read_partition(
    bootstrap_servers: str, topic: str, partition: int, start: int = 0, end: int | None = None
) -> Iterator[ConsumerRecord]:
    """The committed records from offset `start` (or where the log begins now) up to before `end` (its end now).

    Raises:
        SilentLog: when they do not come.
    """
    if end is not None and start >= end:
        return
    here = TopicPartition(topic, partition)
    with KafkaConsumer(
        bootstrap_servers=bootstrap_servers, enable_auto_commit=False, isolation_level="read_committed"
    ) as consumer:
        consumer.assign([here])
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
