"""The stream worker: polls a batch, makes features, scores, and commits scores, dead letters and offsets together."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.streaming.consumer import UnreadableBatch
from capstone_utils.ingestion.streaming.dead_letters import own_headers
from capstone_utils.ingestion.streaming.topics import TopicShape
from capstone_utils.serving.model.classifier import Classifier, Verdict
from capstone_utils.serving.score import SPEC_DIGITS, encode
from capstone_utils.serving.worker.client import Client, Lost, Output, Position, Record
from capstone_utils.serving.worker.metrics import WorkerMetrics
from capstone_utils.serving.worker.parse import Parsed, parse
from capstone_utils.serving.worker.partition_states import PartitionStates
from capstone_utils.settings import Settings
from capstone_utils.transaction import DAY_SECONDS, Transaction, stamped

LOG = logging.getLogger(__name__)
BATCH_RECORDS = 5_000
CHUNK_RECORDS = 1_000  # of a batch: classified, without Python's lock, while the next one's features are made
POLL_SECONDS = 0.5
PAUSE_SECONDS = 1.0  # after a batch was lost
LONGEST_SECONDS = float(DAY_SECONDS)  # that is counted as a latency: a producer's own stamp may be years old
HOLD_SECONDS = 60.0  # then what could not be unpacked is tried again
CLASSIFYING = "classifying"  # the name of the thread


class _Chunk(NamedTuple):
    """Some of a batch's transactions with their features and, once they are made, the verdicts of one version."""

    transactions: Sequence[tuple[Record, Transaction]]
    rows: Sequence[tuple[float, ...]]
    version: str
    verdicts: Future[list[Verdict]]
    conflicts: Sequence[Record]  # under an id that another transaction of their user has: no verdict


class _Stages:
    """A batch's seconds by stage."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._since = time.perf_counter()

    def end(self, stage: str) -> None:
        """Count the time since the last stage's end to this one."""
        now = time.perf_counter()
        self.seconds[stage] += now - self._since  # type: ignore[assignment]
        self._since = now


class Worker:
    """One worker; `classifier` and `daily` may be assigned while it runs, and are used from the next batch on."""

    def __init__(
        self,
        settings: Settings,
        classifier: Classifier,
        states: PartitionStates,
        metrics: WorkerMetrics,
        score_partitions: int,
    ) -> None:
        self.classifier, self._states, self._metrics = classifier, states, metrics
        self._settings, self._scores = settings, settings.scores_topic
        self.daily = self._daily_in_use = states.daily
        self._score_partitions, self._spec = score_partitions, SPEC.hash[:SPEC_DIGITS]
        self._shape = TopicShape("", 1)  # as the client last saw it
        self._warned = False  # of records on wrong partitions
        self._retry_at: float | None = None  # when the partitions that are held back are tried again

    def run(self, client: Client, stopping: Callable[[], bool]) -> None:
        """Work until told to stop; then the batch in hand is finished.

        A partition with a batch that cannot be unpacked is held back, and tried again each minute; the others go on.

        Raises:
            Fenced: when another worker has taken this one's place.
        """
        with ThreadPoolExecutor(1, CLASSIFYING) as self._classifying:
            losses = 0  # one after the other
            while not stopping():
                try:
                    if self._retry_at and time.monotonic() > self._retry_at:
                        self._follow(client, client.rewind())
                    records, moved = client.poll(POLL_SECONDS, BATCH_RECORDS)
                    if moved is not None:
                        self._follow(client, moved)
                    if records:
                        self._work(client, records)
                    losses = 0
                except UnreadableBatch as batch:
                    self._hold(client, batch)
                except Lost as reason:
                    self._metrics.lost.inc()
                    LOG.warning("not committed, read again: %s", reason)
                    if not self._rewind(client, stopping):
                        return  # the states may be ahead of the last commit: no snapshots of those
                    losses += 1
                    time.sleep(PAUSE_SECONDS if losses > 1 else 0.0)  # what fails each time must not take a core
                self._metrics.waiting(client.lag())
        self._states.save_all()

    def _rewind(self, client: Client, stopping: Callable[[], bool]) -> bool:
        """Go back to the last commit, as soon as the broker says where that is; False when told to stop first."""
        while not stopping():
            try:
                self._follow(client, client.rewind())
                return True
            except Lost as reason:
                LOG.warning("broker still unreachable, trying again: %s", reason)
                time.sleep(PAUSE_SECONDS)
        return False

    def _follow(self, client: Client, positions: Mapping[int, Position]) -> None:
        self._retry_at = None
        self._look(client)
        for batch in self._states.follow(positions):
            self._hold(client, batch)

    def _look(self, client: Client) -> None:
        self._shape = client.look()
        self._states.of_topic(self._shape)

    def _hold(self, client: Client, batch: UnreadableBatch) -> None:
        LOG.error("%s. The other partitions go on", batch)
        self._metrics.unreadable.inc()
        client.hold(batch.partition)
        self._retry_at = self._retry_at or time.monotonic() + HOLD_SECONDS

    def _work(self, client: Client, records: Sequence[Record]) -> None:
        metrics, times = self._metrics, _Stages()
        metrics.stage("queue", max(_seconds_since(records), default=0.0))
        ends = {record.partition: record.offset + 1 for record in records}
        parsed = self._parse(client, records)
        readable, outputs = parsed.readable, parsed.outputs
        times.end("parse")
        if self._shape.compacted:
            self._count_gaps(records, ends)
        self._states.advance(ends)
        if (daily := self.daily) is not self._daily_in_use:
            self._daily_in_use = daily
            self._states.use_daily(daily)
        chunks: list[_Chunk] = []
        for first in range(0, len(readable), CHUNK_RECORDS):
            chunks.append(self._features(readable[first : first + CHUNK_RECORDS]))
            times.end("features")
            if first:  # the one before was classified meanwhile, and is sent while the next one is made
                self._send(client, self._encode(chunks[-2]), times)
        self._send(client, [*outputs, *(self._encode(chunks[-1]) if chunks else ())], times)
        client.commit(ends)
        times.end("commit")
        for stage, seconds in times.seconds.items():
            metrics.stage(stage, seconds)
        self._count(chunks, parsed)
        self._states.committed(ends)

    def _parse(self, client: Client, records: Sequence[Record]) -> Parsed:
        """The batch sorted, by the number of partitions that the topic has now."""
        parsed = parse(records, self._settings, self._shape.partitions)
        if parsed.moved and (shape := client.look()) != self._shape:
            raise Lost(f"the topic has changed: {shape.partitions} partitions, id {shape.log_id}")
        return parsed

    def _count_gaps(self, records: Sequence[Record], ends: Mapping[int, int]) -> None:
        """Count what a compacted topic has lost between the records."""
        count = Counter(record.partition for record in records)
        gone = sum(self._states.gap(partition, end, count[partition]) for partition, end in ends.items())
        if gone:
            LOG.error("up to %d records were deleted by compaction before they were scored", gone)
            self._metrics.deleted.inc(gone)

    def _count(self, chunks: Sequence[_Chunk], parsed: Parsed) -> None:
        """Count a batch that was just committed."""
        metrics = self._metrics
        for chunk in chunks:
            seconds = _seconds_since([record for record, _ in chunk.transactions])
            metrics.count_verdicts(chunk.verdicts.result(), seconds)
            metrics.unstamped.inc(len(chunk.transactions) - len(seconds))
            metrics.count_features(chunk.rows)
            metrics.count_day(max((each.event_time_us for _, each in chunk.transactions), default=0))
        if conflicts := [record for chunk in chunks for record in chunk.conflicts]:
            how = "%d transactions came under ids that others of their users have, and have no score; one at %d:%d"
            LOG.warning(how, len(conflicts), conflicts[0].partition, conflicts[0].offset)
            metrics.conflicts.inc(len(conflicts))
        metrics.duplicates.inc(len(parsed.readable) - sum(len(chunk.transactions) for chunk in chunks))
        for field, number in parsed.wrong.items():
            metrics.dead_letters.labels(field).inc(number)
        metrics.moved.inc(len(parsed.moved))
        if parsed.moved and not self._warned:
            self._warned = True
            LOG.warning(
                "users lie on two partitions: a producer does not partition by murmur2 of the key, as at partition %d, "
                "offset %d. Such payments are moved to their user's partition; set the producer's partitioner "
                "(librdkafka: partitioner=murmur2_random)",
                *(parsed.moved[0].partition, parsed.moved[0].offset),
            )

    def _send(self, client: Client, outputs: list[Output], times: _Stages) -> None:
        times.end("score")
        client.produce(outputs)
        times.end("produce")

    def _features(self, readable: Sequence[tuple[Record, Transaction]]) -> _Chunk:
        """The features of the transactions that are no duplicates; the verdicts are on their way."""
        classifier, online = self.classifier, self._states.online  # one look: another one may take its place meanwhile
        transactions, rows, conflicts = [], [], []
        for record, transaction in readable:
            row = online[record.partition].update(transaction)
            if row is not None:
                transactions.append((record, transaction))
                rows.append(row)
            elif online[record.partition].first(transaction) != transaction:
                conflicts.append(record)
        verdicts = self._classifying.submit(classifier.classify, np.array(rows))
        return _Chunk(transactions, rows, classifier.version, verdicts, conflicts)

    def _encode(self, chunk: _Chunk) -> list[Output]:
        """The scores, each in the partition of the topic `scores` that goes with its transaction's."""
        version, spec, topic, partitions = chunk.version, self._spec, self._scores, self._score_partitions
        return [
            Output(
                topic,
                record.partition % partitions,
                record.key,
                encode(transaction, record.offset, row, verdict, version, spec),
                own_headers(record.headers),  # such as a trace's
            )
            for (record, transaction), row, verdict in zip(
                chunk.transactions, chunk.rows, chunk.verdicts.result(), strict=True
            )
        ]


def _seconds_since(records: Sequence[Record]) -> list[float]:
    """How long ago each record was stamped; at most a day. Nobody knows it of a record without a timestamp."""
    now = time.time()
    return [
        min(max(now - record.timestamp / 1000, 0.0), LONGEST_SECONDS) for record in records if stamped(record.timestamp)
    ]
