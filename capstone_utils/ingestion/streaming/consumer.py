"""A consumer that names what it cannot unpack, and goes on behind it only where it was told to."""

from __future__ import annotations

import logging
import os
import re
import struct
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import CompletedFetch, ConsumerRecord, Fetcher
from kafka.errors import OffsetOutOfRangeError, TopicAuthorizationFailedError
from kafka.record import MemoryRecords

from capstone_utils.errors import CapstoneError
from capstone_utils.ingestion.streaming.connection import kafka_python
from capstone_utils.settings import InvalidSetting

LOG = logging.getLogger(__name__)
GIVEN_UP = "CAPSTONE_GIVEN_UP_OFFSETS"
GIVEN_UP_FORM = re.compile(r"([\w.-]+)/(\d+)/(\d+)-(\d+)")
BATCH_HEADER = struct.Struct(">qiibIhi")  # up to the last offset's distance from the first one; Kafka's format 2


class UnreadableBatch(CapstoneError):
    """Records that the broker has and no reader here can unpack; the message says where they lie and what to do."""

    def __init__(self, topic: str, partition: int, offset: int, reason: object, last: int | None = None) -> None:
        self.topic, self.partition, self.offset = topic, partition, offset
        end = "LAST" if last is None else str(last)
        where = "" if last is not None else " (LAST is the batch's last offset; kafka-dump-log.sh shows it)"
        super().__init__(
            f"{topic}/{partition} cannot be read at offset {offset}: {reason!r}. Install what it names or mend the "
            f"broker's log; or give these records up: {GIVEN_UP}={topic}/{partition}/{offset}-{end}{where}"
        )


class Consumer(KafkaConsumer):  # type: ignore[misc]  # kafka-python is not typed
    """A KafkaConsumer whose `poll` raises UnreadableBatch each time it comes to a batch that cannot be unpacked.

    kafka-python 3.0.12 raises the first time, and from then on never returns from `poll`. A partition that is paused
    lets the others go on.

    It ends each joining of its group, too. kafka-python 3.0.12 joins anew when it learns of partitions (nearly each
    start does, and each partition added); a poll that times out meanwhile made it forget this, and it read nothing
    any more. Kafka's own Java client had the same fault (KAFKA-9815).
    """

    def __init__(self, bootstrap_servers: str, **config: Any) -> None:
        self._given_up = given_up_offsets()
        super().__init__(**kafka_python(bootstrap_servers), **config)
        self._parse = self._fetcher._parse_fetched_data
        self._fetcher.PartitionRecords = _Records
        self._fetcher._parse_fetched_data = self._parse_fetched
        self._must_join = self._coordinator.need_rejoin
        self._coordinator.need_rejoin = self._need_rejoin

    def poll(
        self, timeout_ms: float = 0, max_records: int | None = None, update_offsets: bool = True
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Records by partition. What CAPSTONE_GIVEN_UP_OFFSETS names and cannot be unpacked is passed over.

        Raises:
            UnreadableBatch: for anything else that cannot; the position stays in front of it.
        """
        try:
            polled: dict[TopicPartition, list[ConsumerRecord]] = super().poll(timeout_ms, max_records, update_offsets)
        except UnreadableBatch as batch:
            self.seek(TopicPartition(batch.topic, batch.partition), pass_over(self._given_up, batch))
            return {}
        return polled

    def _need_rejoin(self) -> bool:
        if not self._must_join():
            return False
        self._coordinator.request_rejoin()  # holds until it has joined
        return True

    def _parse_fetched(self, fetch: CompletedFetch) -> Fetcher.PartitionRecords | None:
        try:
            return self._parse(fetch)
        except (OffsetOutOfRangeError, TopicAuthorizationFailedError):
            raise
        except Exception as error:  # the broker's own word for this partition, or a length that leads nowhere
            topic, partition = fetch.topic_partition
            raise UnreadableBatch(topic, partition, fetch.fetched_offset, error) from error


class _Records(Fetcher.PartitionRecords):  # type: ignore[misc]
    """What was fetched of one partition."""

    def __init__(self, fetch_offset: int, partition: TopicPartition, records: MemoryRecords, **named: Any) -> None:
        super().__init__(fetch_offset, partition, records, **named)
        self._bytes: bytes = records._buffer

    def take(self, n: int | None = None) -> list[ConsumerRecord]:
        """The next records, at most n."""
        try:
            records: list[ConsumerRecord] = super().take(n)
        except Exception as error:  # a codec may raise anything
            self.drain()  # its iterator is exhausted, and would be asked for ever
            (topic, partition), offset = self.topic_partition, max(self.next_fetch_offset, self.fetch_offset)
            raise UnreadableBatch(topic, partition, offset, error, _last_offset(self._bytes, offset)) from error
        return records


def given_up_offsets() -> dict[tuple[str, int], list[range]]:
    """The records that may be passed over, by topic and partition: `transactions/2/1200-1249,...` in the environment.

    Raises:
        InvalidSetting: when it says something else.
    """
    ranges: dict[tuple[str, int], list[range]] = {}
    text = os.environ.get(GIVEN_UP, "")
    for part in filter(None, text.split(",")):
        form = GIVEN_UP_FORM.fullmatch(part.strip())
        if form is None or int(form[3]) > int(form[4]):
            raise InvalidSetting(f"{GIVEN_UP}={text}: {part!r} is not TOPIC/PARTITION/FIRST-LAST, two offsets")
        ranges.setdefault((form[1], int(form[2])), []).append(range(int(form[3]), int(form[4]) + 1))
    return ranges


def pass_over(given_up: dict[tuple[str, int], list[range]], batch: UnreadableBatch) -> int:
    """The offset behind a batch that was given up.

    Raises:
        UnreadableBatch: the batch, when it was not.
    """
    for offsets in given_up.get((batch.topic, batch.partition), ()):
        if batch.offset in offsets:
            LOG.error(
                "%s/%d: up to %d records were given up (%s); reading goes on at offset %d",
                *(batch.topic, batch.partition, offsets.stop - batch.offset, GIVEN_UP, offsets.stop),
            )
            return offsets.stop
    raise batch


def _last_offset(fetched: bytes, offset: int) -> int | None:
    """The last offset of the batch that holds `offset`; None when the headers up to there make no sense."""
    place = 0
    while place + BATCH_HEADER.size <= len(fetched):
        first, length, *_, distance = BATCH_HEADER.unpack_from(fetched, place)
        if length <= 0 or distance < 0:
            return None
        if first + distance >= offset:
            return int(first + distance)
        place += 12 + length  # the first offset and the length itself are not counted in it
    return None
