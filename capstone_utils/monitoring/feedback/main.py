"""The feedback process: joins scores with labels as both arrive, and publishes the quality that is known by then.

It works in the stream's own time. What it was killed over is read again: rows and offsets are kept together.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError

from capstone_utils.daemon import metrics_shown, run_until_told
from capstone_utils.errors import CapstoneError
from capstone_utils.files import Held, only_one
from capstone_utils.ingestion.labels import InvalidLabel, Label, LabelFromTheFuture
from capstone_utils.ingestion.streaming.clients import NoBroker
from capstone_utils.ingestion.streaming.dead_letters import DeadLetters, Unreadable
from capstone_utils.ingestion.streaming.topics import TopicError
from capstone_utils.monitoring.feedback.alert_reasons import AlertReasons
from capstone_utils.monitoring.feedback.log_reader import Batch, LogReader
from capstone_utils.monitoring.feedback.metrics import FeedbackMetrics
from capstone_utils.monitoring.feedback.quality import make_report
from capstone_utils.monitoring.feedback.records import InvalidScore, ScoreRow
from capstone_utils.monitoring.feedback.store import FeedbackStore
from capstone_utils.monitoring.feedback.watching import Watching
from capstone_utils.monitoring.release.metrics import GateMetrics
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.settings import Settings

LOG = logging.getLogger(__name__)
PAUSE_SECONDS = 1.0  # after a batch was lost
PUBLISH_SECONDS = 0.25  # from one report to the next, or
PUBLISH_SHARE = 10  # so many times as long as a report takes, where that is longer


class FeedbackError(CapstoneError):
    """A feedback process that cannot start; the message says what to do."""


class Feedback:
    """The join of one store: one batch after the other, for one thread."""

    def __init__(
        self, store: FeedbackStore, dead_letters: DeadLetters, metrics: FeedbackMetrics, registry: ModelRegistry
    ) -> None:
        self._store, self._dead_letters, self._metrics = store, dead_letters, metrics
        self._watching, self._reasons = Watching(registry, metrics.drift), AlertReasons(registry)
        self._due, self._changed = 0.0, True

    def work(self, batch: Batch) -> None:
        """Join a batch: dead letters first, then its rows and its offsets, both or none.

        Raises:
            KafkaError, NoBroker, sqlite3.OperationalError: when it was not kept, and must be read again.
        """
        outcomes = Counter[str]()
        scores = list(self._scores(batch.scores, outcomes))
        labels, unreadable = self._labels(batch.labels, outcomes)
        if unreadable:
            self._dead_letters.put(unreadable)
        rows = [row for row, _ in scores]
        fresh = [each for each, first in zip(scores, self._store.unseen(rows), strict=True) if first]
        watch = partial(self._watching.take, fresh, self._store)
        self._metrics.count(self._store.add(rows, labels, batch.offsets, watch) + outcomes)
        for reason, number in self._reasons.count(fresh).items():
            self._metrics.reasons.labels(reason).inc(number)
        self._changed = True

    def restore(self) -> None:
        """Watch drift from what the store has kept on: the watch may have taken in more."""
        self._watching.restore(self._store.watch())

    def publish(self) -> None:
        """Make a report, if there is something new to tell and it is time."""
        began = time.monotonic()
        if self._changed and began >= self._due:
            self._changed = False
            self._metrics.report = make_report(self._store)
            now = time.monotonic()
            self._due = now + max(PUBLISH_SECONDS, PUBLISH_SHARE * (now - began))

    def _scores(self, records: list[ConsumerRecord], outcomes: Counter[str]) -> Iterator[tuple[ScoreRow, bytes]]:
        for record in records:
            try:
                yield ScoreRow.from_json(record.value), record.value
            except InvalidScore as reason:  # one of our own doors wrote it: it is no letter to be sent again
                outcomes["score_unreadable"] += 1
                LOG.error("%s/%d, offset %d: %s", record.topic, record.partition, record.offset, reason)

    def _labels(self, records: list[ConsumerRecord], outcomes: Counter[str]) -> tuple[list[Label], list[Unreadable]]:
        labels, unreadable = [], []
        for record in records:
            try:
                labels.append(Label.from_record(record.key, record.value, record.timestamp))
            except InvalidLabel as reason:
                unreadable.append(Unreadable(record, reason))
                outcomes["label_future" if isinstance(reason, LabelFromTheFuture) else "label_unreadable"] += 1
        return labels, unreadable


def run_feedback(settings: Settings, stopping: threading.Event) -> None:
    """Join until told to stop; then the batch in hand is finished.

    Raises:
        FeedbackError, InvalidSetting, NoBroker, TopicError: when it cannot start, and why.
    """
    metrics = FeedbackMetrics()
    metrics.registry.register(GateMetrics(settings.gate_dir))  # retrainings are short: this process tells of them
    with _alone(settings.feedback), closing(FeedbackStore(settings.feedback / "joined.sqlite")) as store:
        letters = DeadLetters(settings.bootstrap_servers, settings.dead_letter_topic)
        shown = metrics_shown(metrics.registry, settings, "feedback_metrics_port", "feedback")
        with closing(letters), closing(LogReader(settings, store, metrics)) as reader, shown as page:
            print(
                f"feedback joins {settings.scores_topic} and {settings.labels_topic} at {settings.bootstrap_servers}; "
                f"metrics at {page}; Ctrl-C stops",
                flush=True,
            )
            feedback = Feedback(store, letters, metrics, ModelRegistry(settings.models_dir))
            feedback.restore()
            while not stopping.is_set():
                try:
                    batch = reader.poll()
                    if batch.offsets:
                        feedback.work(batch)
                except (KafkaError, NoBroker, TopicError, sqlite3.OperationalError) as reason:
                    metrics.lost.inc()
                    LOG.warning("not kept, read again: %s", reason)
                    _rewind(reader, stopping)
                    feedback.restore()
                feedback.publish()


def _rewind(reader: LogReader, stopping: threading.Event) -> None:
    """Go back to what is kept, as soon as the broker answers."""
    while not stopping.wait(PAUSE_SECONDS):
        try:
            reader.rewind()
            return
        except (KafkaError, NoBroker, TopicError, sqlite3.OperationalError) as reason:
            LOG.warning("still not, trying again: %s", reason)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder: two processes would count everything twice."""
    try:
        with only_one(folder / "lock", wait=False):
            yield
    except Held:
        raise FeedbackError(
            f"another feedback process joins in {folder}: stop it, or set CAPSTONE_STATE_DIR to another folder"
        ) from None


def main() -> int:
    """Join until SIGINT or SIGTERM; the exit status: 0 in order, 1 when it could not start, and why is said."""
    return run_until_told(lambda stopping: run_feedback(Settings.from_environment(), stopping))


if __name__ == "__main__":
    sys.exit(main())
