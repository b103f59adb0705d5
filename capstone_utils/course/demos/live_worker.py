"""A live run through the stream worker, with a kill on demand."""

from __future__ import annotations

import sys
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import psutil
from kafka import TopicPartition

from capstone_utils.course.demos.live_features import LiveRun, transactions_now
from capstone_utils.course.work_directory import claim_topic
from capstone_utils.features.daily_tables import read_daily
from capstone_utils.ingestion.broker.broker import Broker
from capstone_utils.ingestion.simulation.simulator import Simulation
from capstone_utils.ingestion.streaming.partition_log import assigned_consumer
from capstone_utils.ingestion.streaming.producer import ProduceReport, produce
from capstone_utils.ingestion.streaming.topics import recreate_topic
from capstone_utils.process import Child
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.score import ScoreMessage
from capstone_utils.serving.worker.audit import Audit, audit
from capstone_utils.settings import ROOT, Settings

START_SECONDS = 60.0
GRACE_SECONDS = 30.0  # the rest may arrive so long after the last transaction


class WorkerProcess:
    """`python3 -m capstone_utils worker` beside this process; it ends with the `with` block."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._child = self._start()

    def _start(self) -> Child:
        variables = [f"{name}={text}" for name, text in self._settings.to_environment().items()]
        command = ["env", *variables, sys.executable, "-m", "capstone_utils.serving.worker.main"]
        return Child(command, self._settings.work_dir / "worker.log", ROOT)

    def kill(self) -> None:
        """End it as a power cut would (kill -9), and start again."""
        for process in psutil.Process(self._child.pid).children():
            process.kill()
        self._child.stop()
        self._child = self._start()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop()


def run_scored(
    broker: Broker, stream: Simulation, rate_per_second: int, seconds: int, kill_after_seconds: float | None = None
) -> tuple[LiveRun, Audit]:
    """Send transactions of this moment at a steady rate; return their run and audit.

    An age counts from a transaction's event time to the reading of its committed score. The audit compares the scores
    with an offline replay.

    Raises:
        TimeoutError: when the worker does not begin within a minute.
    """
    settings, total = _own_topics(broker.settings), rate_per_second * seconds
    transactions = transactions_now(stream, total + 1)
    address = settings.bootstrap_servers, settings.transactions_topic
    with WorkerProcess(settings) as worker, ThreadPoolExecutor(1) as background, _Scores(settings) as scores:
        produce(*address, [next(transactions)])  # the worker is there when it has scored this one
        if not scores.read_until(1, START_SECONDS):
            raise TimeoutError(f"the worker scored nothing for {START_SECONDS:.0f} s; worker.log says why")
        scores.forget()
        sending: Future[ProduceReport] = background.submit(produce, *address, transactions, rate_per_second)
        if kill_after_seconds is not None:
            scores.read_until(total, kill_after_seconds)
            worker.kill()
        scores.read_until(total, seconds + GRACE_SECONDS)
        sending.result()
    counts = Counter(int(when - scores.when[0]) for when in scores.when)
    per_second = [counts[second] for second in range(max(counts) + 1)]
    models = ModelRegistry(settings.models_dir).load()
    result = audit(settings, {models.version: Classifier(models)}, read_daily(settings.daily_tables))
    return LiveRun(np.array(scores.ages), per_second, total - len(scores.ages)), result


def _own_topics(settings: Settings) -> Settings:
    """The settings with empty topics and a fresh group for this run."""
    topics = {f"{kind}_topic": f"{kind}.live" for kind in ("transactions", "scores", "dead_letter")}
    own = replace(settings, worker_group=f"live-{time.time_ns()}", worker_metrics_port=0, **topics)  # type: ignore[arg-type]
    for topic, partitions in zip(topics.values(), (own.partitions, own.partitions, 1), strict=True):
        claim_topic(own, topic)
        recreate_topic(own.bootstrap_servers, topic, partitions)
    return own


class _Scores:
    """The scores in their topic as they can be read: times, and ages of the transactions, in seconds."""

    def __init__(self, settings: Settings) -> None:
        self.when: list[float] = []
        self.ages: list[float] = []
        partitions = [TopicPartition(settings.scores_topic, number) for number in range(settings.partitions)]
        self._consumer = assigned_consumer(settings.bootstrap_servers, partitions)
        self._consumer.seek_to_beginning(*partitions)

    def read_until(self, count: int, seconds: float) -> bool:
        """Read on until there are so many or the time is up; return True when there are."""
        deadline = time.monotonic() + seconds
        while len(self.when) < count and (left := deadline - time.monotonic()) > 0:
            for records in self._consumer.poll(1000 * min(left, 0.2)).values():
                now = time.time()
                self.when += [now] * len(records)
                self.ages += [now - ScoreMessage.from_json(record.value).timestamp for record in records]
        return len(self.when) >= count

    def forget(self) -> None:
        """Begin to count again."""
        self.when, self.ages = [], []

    def __enter__(self) -> _Scores:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()
