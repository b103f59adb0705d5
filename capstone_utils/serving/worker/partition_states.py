"""The features' state of each partition that this worker has: a function of the partition's log up to an offset.

It is made from the log; a snapshot saves the way there, and is believed only if it proves itself and the log goes on
where it ends. What was computed and not committed is thrown away.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping
from pathlib import Path

from kafka.errors import KafkaError

from capstone_utils.features.daily_tables import DailyTable
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.online.snapshot import InvalidSnapshot
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.streaming.consumer import UnreadableBatch
from capstone_utils.ingestion.streaming.partition_log import SilentLog, read_partition
from capstone_utils.ingestion.streaming.topics import TopicShape, partition_of
from capstone_utils.serving.snapshot_file import read_snapshot, write_snapshot
from capstone_utils.serving.worker.client import Lost, Position
from capstone_utils.serving.worker.metrics import WorkerMetrics
from capstone_utils.transaction import InvalidTransaction, Transaction

LOG = logging.getLogger(__name__)
SNAPSHOT_EVERY = 50_000  # records of a partition


class PartitionStates:
    """Features by partition, in `online`; for the partitions that `follow` was last told of, and no others."""

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        shape: TopicShape,
        folder: Path,
        metrics: WorkerMetrics,
        daily: Mapping[str, DailyTable],
    ) -> None:
        self.online: dict[int, OnlineFeatures] = {}
        self._next: dict[int, int] = {}  # the offset up to before which a state has seen the log
        self._saved: dict[int, int] = {}  # the same of its latest snapshot
        self._begins: dict[int, int] = {}  # where the log began when unread records were found to be gone
        self._bootstrap_servers, self._topic, self._shape = bootstrap_servers, topic, shape
        self._folder, self._metrics, self._daily = folder, metrics, daily

    def of_topic(self, shape: TopicShape) -> None:
        """Know the topic as it is now; of one that was made anew, no state is right."""
        if shape.log_id != self._shape.log_id:
            LOG.error(
                "%s was made anew: what was not read of the one before is gone, and so are its users' states",
                self._topic,
            )
            self._metrics.topics_made_anew.inc()
            for partition in list(self.online):
                self._drop(partition)
        self._shape = shape

    def follow(self, positions: Mapping[int, Position]) -> list[UnreadableBatch]:
        """Have the states of exactly these partitions, each as of its position.

        One that stands at its position is right, however it came there; any other is made from the log. Returned is
        what of the log cannot be unpacked: those partitions have no state.

        Raises:
            Lost: when the log does not answer.
        """
        for partition in list(self.online):
            if partition not in positions or self._next[partition] != positions[partition].offset:
                self._drop(partition)
        unreadable = []
        for partition, position in positions.items():
            if position.gone and self._begins.get(partition) != position.begin:  # said once
                self._begins[partition] = position.begin
                LOG.error("partition %d: %d records were deleted before they were scored", partition, position.gone)
                self._metrics.deleted.inc(position.gone)
            if partition not in self.online:
                try:
                    self._make(partition, position)
                except UnreadableBatch as batch:
                    unreadable.append(batch)
        return unreadable

    def advance(self, ends: Mapping[int, int]) -> None:
        """Note where the states will stand, by partition, when they have seen the batch in hand.

        If the batch is not committed, `follow` finds them ahead of the last commit, and makes them anew.
        """
        self._next |= ends

    def gap(self, partition: int, end: int, records: int) -> int:
        """The offsets up to `end` that held no record of the batch in hand, when it has so many of the partition."""
        return end - self._next[partition] - records

    def committed(self, ends: Mapping[int, int]) -> None:
        """Now and then, keep a snapshot of what was just committed."""
        for partition, end in ends.items():
            if end - self._saved[partition] >= SNAPSHOT_EVERY:
                self.save(partition)

    def save_all(self) -> None:
        """Keep a snapshot of every partition that has moved since the last one."""
        for partition, end in self._next.items():
            if end != self._saved[partition]:
                self.save(partition)

    def save(self, partition: int) -> None:
        """Keep a snapshot. Where that fails it is counted, and no more: the log is still there."""
        began, end = time.perf_counter(), self._next[partition]
        self._saved[partition] = end
        try:
            write_snapshot(self._path(partition), self._shape.log_id, end, self.online[partition])
        except OSError as error:
            LOG.error("no snapshot of partition %d was kept: %s", partition, error)
            self._metrics.snapshots.labels("failed").inc()
        else:
            self._metrics.snapshots.labels("written").inc()
            self._metrics.stage("snapshot", time.perf_counter() - began)

    def _make(self, partition: int, position: Position) -> None:
        began = time.perf_counter()
        online, start = self._from_snapshot(partition, position)
        self._saved[partition] = start
        if start == 0 < position.begin:
            LOG.warning("partition %d: the log begins at offset %d, and so does the state", partition, position.begin)
        start = max(start, position.begin)
        log = read_partition(self._bootstrap_servers, self._topic, partition, start, position.offset)
        try:
            for record in log:
                with contextlib.suppress(InvalidTransaction):  # it lies in the dead-letter topic
                    transaction = Transaction.from_record(record.key, record.value, record.timestamp)
                    if partition_of(transaction.key, self._shape.partitions) == partition:  # else it was moved
                        online.update(transaction)
        except (SilentLog, KafkaError) as error:
            raise Lost(str(error)) from error
        self.online[partition], self._next[partition] = online, position.offset
        seconds = time.perf_counter() - began
        self._metrics.stage("rebuild", seconds)
        how = "partition %d: state of %d users from offset %d to %d in %.2f s"
        LOG.info(how, partition, len(online.users), start, position.offset, seconds)

    def _from_snapshot(self, partition: int, position: Position) -> tuple[OnlineFeatures, int]:
        """The state of a snapshot that is not past the position, and from which the log goes on; else an empty one."""
        try:
            snapshot = read_snapshot(self._path(partition), self._shape.log_id, self._daily)
        except (InvalidSnapshot, OSError) as error:
            LOG.warning("partition %d: %s", partition, error)
            self._metrics.snapshots.labels("invalid").inc()
            snapshot = None
        if snapshot is not None and position.begin <= snapshot.offset <= position.offset:
            self._metrics.snapshots.labels("used").inc()
            return snapshot.online, snapshot.offset
        return OnlineFeatures(SPEC, self._daily), 0

    def _drop(self, partition: int) -> None:
        del self.online[partition], self._next[partition], self._saved[partition]

    def _path(self, partition: int) -> Path:
        return self._folder / f"{self._topic}-{partition}.snapshot"
