"""Payments per second through the stream worker; latency of their scores.

A real broker and one worker share this machine's cores. Throughput: the worker, as `worker` starts it, on a backlog in
the topic. It is the rate of the middle eight tenths, by the times at which their scores were written. Latency: open
loop at 1,000 per second, from the time at which a payment was due until another consumer read its committed score.
Beside them the brief's own style: one message, one frame, one flush. The features alone bound all of these on this
machine. Each run ends with an audit against an offline replay.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from confluent_kafka import Consumer, Producer

from benchmarks.kept import keep
from capstone_utils.course.materials import course_stream, ensure_enriched, ensure_models
from capstone_utils.course.results import Figure
from capstone_utils.features.daily_tables import DailyTable, read_daily
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.broker.broker import start_broker
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.streaming.partition_log import read_topic
from capstone_utils.ingestion.streaming.producer import produce
from capstone_utils.ingestion.streaming.topics import create_topics, end_offsets
from capstone_utils.serving.gc_pauses import freeze_heap
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.worker.audit import audit
from capstone_utils.settings import ROOT, Settings
from capstone_utils.transaction import Transaction

GOALS = {
    "kafka_python_tps": "aim at least 10,000",
    "kafka_python_p99_ms": "aim at most 100",
    "confluent_tps": "aim at least 35,000",
    "confluent_p99_ms": "aim at most 50",
}
BACKLOGS = {"kafka-python": 100_000, "confluent": 300_000}
RATE, WARM_UP_SECONDS = 1_000, 5
WAIT_SECONDS = 120.0


def named(settings: Settings) -> Settings:
    """The settings with topics and a group that nobody else has."""
    name = uuid.uuid4().hex
    topics = {f"{kind}_topic": f"{kind}-{name}" for kind in ("transactions", "scores", "dead_letter")}
    return replace(settings, worker_group=f"group-{name}", **topics)  # type: ignore[arg-type]


@contextlib.contextmanager
def process(command: list[str], settings: Settings) -> Iterator[None]:
    """A process with these settings, from its first line on; stopped at the end."""
    child = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | settings.to_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        if child.stdout is None or not child.stdout.readline():
            raise RuntimeError(f"{' '.join(command)} ended before it worked")
        yield
    finally:
        child.terminate()
        child.wait()


def worker(settings: Settings) -> contextlib.AbstractContextManager[None]:
    """The worker that `settings.kafka_client` names."""
    return process([sys.executable, "-m", "capstone_utils.serving.worker.main"], settings)


def throughput(settings: Settings, payments: list[Transaction], command: list[str] | None = None) -> float:
    """Payments scored per second, from a backlog."""
    create_topics(settings.bootstrap_servers, {settings.transactions_topic: 4})
    produce(settings.bootstrap_servers, settings.transactions_topic, payments)
    create_topics(settings.bootstrap_servers, {settings.scores_topic: 4})
    with process(command, settings) if command else worker(settings):
        deadline = time.monotonic() + WAIT_SECONDS
        while sum(end_offsets(settings.bootstrap_servers, settings.scores_topic).values()) < len(payments):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the backlog was not scored within {WAIT_SECONDS:.0f} s")
            time.sleep(0.5)
    records = read_topic(settings.bootstrap_servers, settings.scores_topic)
    written = np.sort([record.timestamp for record in records]) / 1000
    low, high = len(written) // 10, 9 * len(written) // 10
    return float((high - low) / (written[high] - written[low]))


class Watch:
    """A watch on the scores: the time at which each could be read, by transaction_id."""

    def __init__(self, settings: Settings) -> None:
        self.read: dict[int, float] = {}
        self._stopping = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "group.id": f"watch-{settings.worker_group}",
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 100,
            }
        )
        self._consumer.subscribe([settings.scores_topic])
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            first = self._consumer.poll(0.2)
            messages = [first, *self._consumer.consume(1_000, 0)] if first else []
            now = time.perf_counter()
            for message in messages:
                if not message.error():
                    self.read[json.loads(message.value())["transaction_id"]] = now
        self._consumer.close()

    def stop(self) -> None:
        """Watch no more."""
        self._stopping.set()
        self._thread.join()


def latency(settings: Settings, payments: list[Transaction]) -> np.ndarray:
    """Milliseconds from due to read for each payment, after a warm-up; open loop at `RATE`."""
    for topic in (settings.transactions_topic, settings.scores_topic):
        create_topics(settings.bootstrap_servers, {topic: 4})
    due: dict[int, float] = {}
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers, "linger.ms": 1})
    with worker(settings):
        watch = Watch(settings)
        time.sleep(5)  # the group has come together
        began = time.perf_counter()
        for number, payment in enumerate(payments):
            due[payment.transaction_id] = began + number / RATE
            delay = due[payment.transaction_id] - time.perf_counter()
            if delay > 0:
                time.sleep(delay)
            producer.produce(settings.transactions_topic, payment.to_json(), payment.key)
            producer.poll(0)
        producer.flush(30)
        deadline = time.monotonic() + 30
        while len(watch.read) < len(payments) and time.monotonic() < deadline:
            time.sleep(0.1)
        watch.stop()
    measured = payments[WARM_UP_SECONDS * RATE :]
    return 1000 * np.array(
        [watch.read.get(each.transaction_id, np.inf) - due[each.transaction_id] for each in measured]
    )


def features_only(payments: list[Transaction], daily: Mapping[str, DailyTable]) -> float:
    """Features per second of one core: the bound of any worker."""
    freeze_heap()
    online = OnlineFeatures(SPEC, daily)
    began = time.perf_counter()
    for payment in payments:
        online.update(payment)
    return len(payments) / (time.perf_counter() - began)


def measure(base: Settings, seconds: int) -> dict[str, float]:
    """The figures by name."""
    registry, daily = ModelRegistry(base.models_dir), read_daily(base.daily_tables)
    models = registry.load()
    classifiers = {models.version: Classifier(models)}
    history = course_stream().transactions
    backlog = list(transactions_of(history.head(BACKLOGS["kafka-python"])))
    results = {"features_tps": median(features_only(backlog, daily) for _ in range(3))}

    def check(settings: Settings) -> None:
        report = audit(settings, classifiers, daily)
        if not report.sound:
            raise RuntimeError(str(report))

    for client, backlog in BACKLOGS.items():
        name = client.replace("-", "_")
        settings = replace(named(base), kafka_client=client)
        results[f"{name}_tps"] = throughput(settings, list(transactions_of(history.head(backlog))))
        check(settings)
        settings = replace(named(base), kafka_client=client)
        milliseconds = latency(settings, list(transactions_of(history.head((WARM_UP_SECONDS + seconds) * RATE))))
        results[f"{name}_p50_ms"], results[f"{name}_p99_ms"] = np.percentile(milliseconds, [50, 99]).tolist()
        check(settings)
    command = [sys.executable, "-m", "benchmarks.brief_stream", str(registry.path() / "predict_model.json")]
    results["brief_tps"] = throughput(named(base), list(transactions_of(history.head(1_000))), command)
    return results


def main() -> None:
    """Print a line per figure; with --json, end with one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="of paced payments (default: 60)")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--keep", action="store_true", help="write docs/stream.json, which docs/speed.md quotes")
    options = parser.parse_args()
    if options.seconds < 1:
        parser.error(f"--seconds={options.seconds} is not 1 or more")
    base = Settings.from_environment()
    ensure_models(base, ensure_enriched(base, course_stream()))
    with (
        tempfile.TemporaryDirectory() as folder,
        start_broker(replace(base, kafka_port=0, work_dir=Path(folder))) as broker,
    ):
        here = replace(base, kafka_port=broker.port, worker_metrics_port=0, state_dir=Path(folder))
        results = measure(here, options.seconds)
    for name, figure in results.items():
        print(f"{name:22}{figure:12,.1f}  {GOALS.get(name, '')}")
    ratios = {client: results[f"{client}_tps"] / results["brief_tps"] for client in ("kafka_python", "confluent")}
    for client, ratio in ratios.items():
        print(f"{client}: {ratio:.0f} times the brief's style")
    if options.keep:
        units = {"tps": "a second", "ms": "ms"}
        figures = {f"stream_{name}": Figure(value, units[name.rpartition("_")[2]]) for name, value in results.items()}
        figures |= {f"stream_{client}_ratio": Figure(ratio, "times") for client, ratio in ratios.items()}
        shares = {client: 100 * results[f"{client}_tps"] / results["features_tps"] for client in ratios}
        figures |= {f"stream_{client}_share": Figure(share, "%") for client, share in shares.items()}
        keep("stream", figures | {"stream_seconds": Figure(options.seconds)})
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
