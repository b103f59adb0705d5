"""The topics `scores` and `labels`, read from the offsets that the join keeps, in the order in which records were made.

A reader that is behind gets one partition's days before another one's. The join does not mind; its clock would run
ahead of what is still to be read, and the drift watch would close days that are not over. So records wait here until
every partition that has more has brought as old ones.
"""

from __future__ import annotations

import heapq
import logging
import math
import time
from collections import deque
from typing import NamedTuple

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError

from capstone_utils.ingestion.streaming.topics import (
    PartitionState,
    describe_topic,
    ensure_labels_topic,
    ensure_scores_topic,
    topic_shape,
)
from capstone_utils.monitoring.feedback.metrics import FeedbackMetrics
from capstone_utils.monitoring.feedback.store import FeedbackStore
from capstone_utils.settings import Settings

LOG = logging.getLogger(__name__)
BATCH_RECORDS = 5_000
MOST_WAITING = 100_000  # records; beyond, memory counts more than their order
STALLED_SECONDS = 5.0  # without a record from a partition that should have some: then the others go on
POLL_SECONDS = 0.5
LOOK_SECONDS = 10.0  # from one look for more partitions to the next


class Batch(NamedTuple):
    """Records of both topics, and by topic and partition the offset after them."""

    scores: list[ConsumerRecord]
    labels: list[ConsumerRecord]
    offsets: dict[tuple[str, int], int]


class LogReader:
    """A consumer of both topics without a group; makes them where they are missing.

    Raises:
        NoBroker, TopicError: when there is no broker, or a topic is not as it should be.
    """

    def __init__(self, settings: Settings, store: FeedbackStore, metrics: FeedbackMetrics) -> None:
        self._settings, self._store, self._metrics = settings, store, metrics
        self._topics = settings.scores_topic, settings.labels_topic
        self._waiting: dict[TopicPartition, deque[ConsumerRecord]] = {}
        ensure_scores_topic(settings)
        ensure_labels_topic(settings)
        self._consumer = KafkaConsumer(
            bootstrap_servers=settings.bootstrap_servers,
            enable_auto_commit=False,
            auto_offset_reset="none",  # where to go on is the store's to say
            isolation_level="read_committed",
        )
        self.rewind()

    def rewind(self) -> None:
        """Go back to the offsets that the store keeps.

        Raises:
            NoBroker, TopicError: as above; nothing has changed then.
        """
        where = self._settings.bootstrap_servers
        partitions = self._describe()  # first: afterwards all of them have a place to be read from
        kept = self._store.offsets({topic: topic_shape(where, topic).log_id for topic in self._topics})
        self._consumer.assign([TopicPartition(topic, state.partition) for topic, state in partitions])
        self._waiting = {TopicPartition(topic, state.partition): deque() for topic, state in partitions}
        self._released, self._more = time.monotonic(), False
        gone = {}
        for topic, state in partitions:
            offset = kept.get((topic, state.partition), state.begin_offset)
            if offset < state.begin_offset:
                gone[topic, state.partition] = state.begin_offset
                self._metrics.deleted.inc(state.begin_offset - offset)
            self._consumer.seek(TopicPartition(topic, state.partition), max(offset, state.begin_offset))
        self._store.add([], [], gone)  # so that they are counted once
        self._partitions, self._looked = len(partitions), time.monotonic()

    def poll(self) -> Batch:
        """The next records, the oldest first; none when none came in time, or all wait for older ones.

        Raises:
            KafkaError, NoBroker, TopicError: when they cannot be read now; `rewind`, and try again.
        """
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._look()
        try:
            polled = self._consumer.poll(0 if self._more else POLL_SECONDS * 1000, max_records=BATCH_RECORDS)
        except (NoOffsetForPartitionError, OffsetOutOfRangeError) as error:
            LOG.warning("reading goes on elsewhere: %s", error)
            self.rewind()
            polled = {}
        for where, found in polled.items():
            self._waiting[where] += found
        return self._release()

    def _release(self) -> Batch:
        """At most a batch of the records that are older than what any partition may still bring."""
        now = time.monotonic()
        limits = [
            waiting[-1].timestamp if waiting else -math.inf
            for where, waiting in self._waiting.items()
            if not self._at_end(where)
        ]
        stalled = now - self._released > STALLED_SECONDS
        full = sum(map(len, self._waiting.values())) > MOST_WAITING
        until = math.inf if stalled or full else min(limits, default=math.inf)
        records: dict[str, list[ConsumerRecord]] = {topic: [] for topic in self._topics}
        offsets: dict[tuple[str, int], int] = {}
        queues = [waiting for waiting in self._waiting.values() if waiting]
        oldest = [(waiting[0].timestamp, place) for place, waiting in enumerate(queues)]
        heapq.heapify(oldest)
        for _ in range(BATCH_RECORDS):
            if not oldest or oldest[0][0] > until:
                break
            place = oldest[0][1]
            record = queues[place].popleft()
            records[record.topic].append(record)
            offsets[record.topic, record.partition] = record.offset + 1
            if queues[place]:
                heapq.heapreplace(oldest, (queues[place][0].timestamp, place))
            else:
                heapq.heappop(oldest)
        if offsets or not any(self._waiting.values()):
            self._released = now
        batch = Batch(records[self._settings.scores_topic], records[self._settings.labels_topic], offsets)
        self._more = len(batch.scores) + len(batch.labels) == BATCH_RECORDS
        return batch

    def _at_end(self, where: TopicPartition) -> bool:
        end, position = self._consumer.highwater(where), self._consumer.position(where, timeout_ms=0)
        return end is not None and position is not None and position >= end

    def _look(self) -> None:
        """Take in partitions that were added, and say how many records wait."""
        self._looked = time.monotonic()
        ends = self._describe()
        if len(ends) != self._partitions:
            self.rewind()
        for topic in self._topics:
            waiting = [
                state.end_offset - (self._consumer.position(TopicPartition(topic, state.partition), timeout_ms=0) or 0)
                for name, state in ends
                if name == topic
            ]
            self._metrics.lag.labels(topic).set(sum(waiting))

    def _describe(self) -> list[tuple[str, PartitionState]]:
        where = self._settings.bootstrap_servers
        return [(topic, state) for topic in self._topics for state in describe_topic(where, topic)]

    def close(self) -> None:
        """Read no more."""
        self._consumer.close()
