"""The stream worker: polls a batch, makes features, scores, and commits scores, dead letters and offsets together."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.dead_letters import dead_letter_headers
from capstone_utils.serving.judge import Judge, Ruling
from capstone_utils.serving.worker.client import Client, Lost, Output, Record
from capstone_utils.serving.worker.metrics import WorkerMetrics
from capstone_utils.serving.worker.partition_state import PartitionStates
from capstone_utils.serving.worker.score import SPEC_DIGITS, encode
from capstone_utils.settings import Settings
from capstone_utils.transaction import InvalidTransaction, Transaction

LOG = logging.getLogger(__name__)
BATCH_RECORDS = 2_000
POLL_SECONDS = 0.5
PAUSE_SECONDS = 1.0  # after a batch was lost


class Worker:
    """One worker; `judge` may be replaced while it runs, and decides from the next batch on."""

    def __init__(
        self,
        settings: Settings,
        judge: Judge,
        states: PartitionStates,
        metrics: WorkerMetrics,
        score_partitions: int,
    ) -> None:
        self.judge, self._states, self._metrics = judge, states, metrics
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
        while not stopping():
            try:
                records = client.poll(POLL_SECONDS, BATCH_RECORDS)
                if records:
                    self._work(client, records)
            except Lost as reason:
                self._metrics.lost.inc()
                LOG.warning("not committed, read again: %s", reason)
                self._rewind(client, stopping)
            for partition, waiting in client.lag().items():
                self._metrics.lag.labels(str(partition)).set(waiting)
        self._states.save_all()

    def _rewind(self, client: Client, stopping: Callable[[], bool]) -> None:
        """Go back to the last commit, as soon as the broker says where that is."""
        there = False
        while not there and not stopping():
            try:
                client.rewind()
                there = True
            except Lost as reason:
                LOG.warning("still not there: %s", reason)
                time.sleep(PAUSE_SECONDS)

    def _work(self, client: Client, records: Sequence[Record]) -> None:
        metrics, clock = self._metrics, time.perf_counter
        began, oldest = clock(), min(record.timestamp for record in records) / 1000
        metrics.stage("queue", max(time.time() - oldest, 0.0))
        ends = {record.partition: record.offset + 1 for record in records}
        readable, outputs, wrong = self._parse(records)
        parsed = clock()
        self._states.advance(ends)
        online = self._states.online
        made = [(record, payment, online[record.partition].update(payment)) for record, payment in readable]
        fresh = [(record, payment, values) for record, payment, values in made if values is not None]
        featured = clock()
        features = np.array([each[2] for each in fresh])
        judge = self.judge  # one look: another one may take its place meanwhile
        rulings = judge.rule(features)
        outputs += self._encode(judge, fresh, rulings)
        scored = clock()
        client.produce(outputs)
        produced = clock()
        client.commit(ends)
        committed = clock()
        metrics.stage("parse", parsed - began)
        metrics.stage("features", featured - parsed)
        metrics.stage("score", scored - featured)
        metrics.stage("produce", produced - scored)
        metrics.stage("commit", committed - produced)
        metrics.latency.observe(max(time.time() - oldest, 0.0))
        metrics.batch.observe(len(records))
        metrics.consumed.inc(len(records))
        metrics.duplicates.inc(len(made) - len(fresh))
        metrics.scores(features, rulings)
        for field, number in wrong.items():
            metrics.dead.labels(field).inc(number)
        self._states.committed(ends)

    def _parse(self, records: Sequence[Record]) -> tuple[list[tuple[Record, Transaction]], list[Output], Counter[str]]:
        """The payments; dead letters for all else; and how often each field was wrong."""
        readable, dead, wrong = [], [], Counter[str]()
        parse = Transaction.from_record
        for record in records:
            try:
                readable.append((record, parse(record.key, record.value)))
            except InvalidTransaction as reason:
                wrong[reason.field] += 1
                headers = dead_letter_headers(self._topic, record.partition, record.offset, reason)
                dead.append(Output(self._dead_letters, 0, record.key, record.value, [*record.headers, *headers]))
        return readable, dead, wrong

    def _encode(
        self, judge: Judge, fresh: Sequence[tuple[Record, Transaction, tuple[float, ...]]], rulings: Sequence[Ruling]
    ) -> list[Output]:
        """The scores, each in the partition of the topic `scores` that goes with its payment's."""
        version, spec, topic, partitions = judge.version, self._spec, self._scores, self._score_partitions
        return [
            Output(
                topic,
                record.partition % partitions,
                record.key,
                encode(payment, record.offset, values, ruling, version, spec),
            )
            for (record, payment, values), ruling in zip(fresh, rulings, strict=True)
        ]
