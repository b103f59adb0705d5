"""The stream worker: polls a batch, makes features, scores, and commits scores, dead letters and offsets together."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.streaming.dead_letters import dead_letter_headers
from capstone_utils.serving.model.classifier import Classifier, Verdict
from capstone_utils.serving.score import SPEC_DIGITS, encode
from capstone_utils.serving.worker.client import Client, Lost, Output, Record
from capstone_utils.serving.worker.metrics import WorkerMetrics
from capstone_utils.serving.worker.partition_states import PartitionStates
from capstone_utils.settings import Settings
from capstone_utils.transaction import InvalidTransaction, Transaction

LOG = logging.getLogger(__name__)
BATCH_RECORDS = 5_000
CHUNK_RECORDS = 1_000  # of a batch: classified, without Python's lock, while the next one's features are made
POLL_SECONDS = 0.5
PAUSE_SECONDS = 1.0  # after a batch was lost
CLASSIFYING = "classifying"  # the name of the thread


class _Chunk(NamedTuple):
    """Some of a batch's transactions with their features and, once they are made, the verdicts of one version."""

    transactions: Sequence[tuple[Record, Transaction]]
    rows: Sequence[tuple[float, ...]]
    version: str
    verdicts: Future[list[Verdict]]


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
        self.daily = self._daily_in_use = states.daily
        self._topic, self._scores, self._dead_letters = (
            settings.transactions_topic,
            settings.scores_topic,
            settings.dead_letter_topic,
        )
        self._score_partitions, self._spec = score_partitions, SPEC.hash[:SPEC_DIGITS]

    def run(self, client: Client, stopping: Callable[[], bool]) -> None:
        """Work until told to stop; then the batch in hand is finished.

        Raises:
            Fenced: when another worker has taken this one's place.
        """
        with ThreadPoolExecutor(1, CLASSIFYING) as self._classifying:
            while not stopping():
                try:
                    records, moved = client.poll(POLL_SECONDS, BATCH_RECORDS)
                    if moved is not None:
                        self._states.follow(moved)
                    if records:
                        self._work(client, records)
                except Lost as reason:
                    self._metrics.lost.inc()
                    LOG.warning("not committed, read again: %s", reason)
                    if not self._rewind(client, stopping):
                        return  # the states may be ahead of the last commit: no snapshots of those
                self._metrics.waiting(client.lag())
        self._states.save_all()

    def _rewind(self, client: Client, stopping: Callable[[], bool]) -> bool:
        """Go back to the last commit, as soon as the broker says where that is; False when told to stop first."""
        while not stopping():
            try:
                self._states.follow(client.rewind())
                return True
            except Lost as reason:
                LOG.warning("broker still unreachable, trying again: %s", reason)
                time.sleep(PAUSE_SECONDS)
        return False

    def _work(self, client: Client, records: Sequence[Record]) -> None:
        metrics, times = self._metrics, _Stages()
        oldest = min(record.timestamp for record in records) / 1000
        metrics.stage("queue", max(time.time() - oldest, 0.0))
        ends = {record.partition: record.offset + 1 for record in records}
        readable, outputs, wrong = self._parse(records)
        times.end("parse")
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
        self._count(chunks, len(readable), wrong)
        self._states.committed(ends)

    def _count(self, chunks: Sequence[_Chunk], readable: int, wrong: Counter[str]) -> None:
        """Count a batch that was just committed."""
        now, metrics = time.time(), self._metrics
        for chunk in chunks:
            seconds = [max(now - record.timestamp / 1000, 0.0) for record, _ in chunk.transactions]
            metrics.count_verdicts(chunk.verdicts.result(), seconds)
            metrics.count_features(chunk.rows)
            metrics.count_day(max((each.event_time_us for _, each in chunk.transactions), default=0))
        metrics.duplicates.inc(readable - sum(len(chunk.transactions) for chunk in chunks))
        for field, number in wrong.items():
            metrics.dead_letters.labels(field).inc(number)

    def _send(self, client: Client, outputs: list[Output], times: _Stages) -> None:
        times.end("score")
        client.produce(outputs)
        times.end("produce")

    def _parse(self, records: Sequence[Record]) -> tuple[list[tuple[Record, Transaction]], list[Output], Counter[str]]:
        """The transactions; dead letters for all else; and how often each field was wrong."""
        readable, dead, wrong = [], [], Counter[str]()
        parse = Transaction.from_record
        for record in records:
            try:
                readable.append((record, parse(record.key, record.value)))
            except InvalidTransaction as reason:
                wrong[reason.field] += 1
                headers = dead_letter_headers(record.headers, self._topic, record.partition, record.offset, reason)
                dead.append(Output(self._dead_letters, 0, record.key, record.value, headers))
        return readable, dead, wrong

    def _features(self, readable: Sequence[tuple[Record, Transaction]]) -> _Chunk:
        """The features of the transactions that are no duplicates; the verdicts are on their way."""
        classifier, online = self.classifier, self._states.online  # one look: another one may take its place meanwhile
        transactions, rows = [], []
        for record, transaction in readable:
            row = online[record.partition].update(transaction)
            if row is not None:
                transactions.append((record, transaction))
                rows.append(row)
        verdicts = self._classifying.submit(classifier.classify, np.array(rows))
        return _Chunk(transactions, rows, classifier.version, verdicts)

    def _encode(self, chunk: _Chunk) -> list[Output]:
        """The scores, each in the partition of the topic `scores` that goes with its transaction's."""
        version, spec, topic, partitions = chunk.version, self._spec, self._scores, self._score_partitions
        return [
            Output(
                topic,
                record.partition % partitions,
                record.key,
                encode(transaction, record.offset, row, verdict, version, spec),
            )
            for (record, transaction), row, verdict in zip(
                chunk.transactions, chunk.rows, chunk.verdicts.result(), strict=True
            )
        ]
