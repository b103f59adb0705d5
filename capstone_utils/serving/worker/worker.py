"""The stream worker: polls a batch, makes features, scores, and commits scores, dead letters and offsets together."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from capstone_utils.arrays import Floats
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
CHUNK_RECORDS = 1_000  # of a batch: ruled upon, without Python's lock, while the next one's features are made
POLL_SECONDS = 0.5
PAUSE_SECONDS = 1.0  # after a batch was lost


class _Chunk(NamedTuple):
    """Some of a batch's payments with their features and, once they are made, the verdicts of one version."""

    payments: Sequence[tuple[Record, Transaction]]
    values: Sequence[tuple[float, ...]]
    features: Floats
    version: str
    verdicts: Future[list[Verdict]]


class _Stages:
    """What a batch spent in each stage."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._since = time.perf_counter()

    def end(self, stage: str) -> None:
        """Count the time since the last stage's end to this one."""
        now = time.perf_counter()
        self.seconds[stage] += now - self._since  # type: ignore[assignment]
        self._since = now


class Worker:
    """One worker; `classifier` may be replaced while it runs, and decides from the next batch on."""

    def __init__(
        self,
        settings: Settings,
        classifier: Classifier,
        states: PartitionStates,
        metrics: WorkerMetrics,
        score_partitions: int,
    ) -> None:
        self.classifier, self._states, self._metrics = classifier, states, metrics
        self._topic, self._scores, self._dead_letters = (
            settings.transactions_topic,
            settings.scores_topic,
            settings.dead_letter_topic,
        )
        self._classifying = ThreadPoolExecutor(1)
        self._score_partitions, self._spec = score_partitions, SPEC.hash[:SPEC_DIGITS]

    def run(self, client: Client, stopping: Callable[[], bool]) -> None:
        """Work until told to stop; then the batch in hand is finished.

        Raises:
            Fenced: when another worker has taken this one's place.
        """
        while not stopping():
            try:
                records = client.poll(POLL_SECONDS, BATCH_RECORDS)
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
                client.rewind()
                return True
            except Lost as reason:
                LOG.warning("still not there: %s", reason)
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
        chunks: list[_Chunk] = []
        for first in range(0, len(readable), CHUNK_RECORDS):
            chunks.append(self._features(readable[first : first + CHUNK_RECORDS]))
            times.end("features")
            if first:  # the one before was ruled upon meanwhile, and is sent while the next one is made
                self._send(client, self._encode(chunks[-2]), times)
        self._send(client, [*outputs, *(self._encode(chunks[-1]) if chunks else ())], times)
        client.commit(ends)
        times.end("commit")
        for stage, seconds in times.seconds.items():
            metrics.stage(stage, seconds)
        metrics.latency.observe(max(time.time() - oldest, 0.0))
        metrics.batch.observe(len(records))
        metrics.consumed.inc(len(records))
        metrics.duplicates.inc(len(readable) - sum(len(chunk.payments) for chunk in chunks))
        for chunk in chunks:
            metrics.scores(chunk.features, chunk.verdicts.result())
        for field, number in wrong.items():
            metrics.dead.labels(field).inc(number)
        self._states.committed(ends)

    def _send(self, client: Client, outputs: list[Output], times: _Stages) -> None:
        times.end("score")
        client.produce(outputs)
        times.end("produce")

    def _parse(self, records: Sequence[Record]) -> tuple[list[tuple[Record, Transaction]], list[Output], Counter[str]]:
        """The payments; dead letters for all else; and how often each field was wrong."""
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
        """The features of the payments that are no duplicates; the verdicts are on their way."""
        classifier, online = (
            self.classifier,
            self._states.online,
        )  # one look: another classifier may take its place meanwhile
        payments, values = [], []
        for record, payment in readable:
            made = online[record.partition].update(payment)
            if made is not None:
                payments.append((record, payment))
                values.append(made)
        features = np.array(values)
        return _Chunk(
            payments, values, features, classifier.version, self._classifying.submit(classifier.classify, features)
        )

    def _encode(self, chunk: _Chunk) -> list[Output]:
        """The scores, each in the partition of the topic `scores` that goes with its payment's."""
        version, spec, topic, partitions = chunk.version, self._spec, self._scores, self._score_partitions
        return [
            Output(
                topic,
                record.partition % partitions,
                record.key,
                encode(payment, record.offset, values, verdict, version, spec),
            )
            for (record, payment), values, verdict in zip(
                chunk.payments, chunk.values, chunk.verdicts.result(), strict=True
            )
        ]
