"""How many scores and labels a second the feedback process joins on one core, reading from a real broker.

The time is the processor's of this process: decoding, joining, committing and the reports in between, whatever else the
machine does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from confluent_kafka import Producer

from capstone_utils.ingestion.broker.broker import start_broker
from capstone_utils.ingestion.labels import Label
from capstone_utils.ingestion.streaming.dead_letters import DeadLetters
from capstone_utils.ingestion.streaming.topics import ensure_labels_topic, ensure_scores_topic
from capstone_utils.monitoring.feedback.log_reader import LogReader
from capstone_utils.monitoring.feedback.main import Feedback
from capstone_utils.monitoring.feedback.metrics import FeedbackMetrics
from capstone_utils.monitoring.feedback.store import FeedbackStore
from capstone_utils.serving.model.classifier import Verdict
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.score import encode
from capstone_utils.settings import Settings
from capstone_utils.transaction import DAY_US, Transaction

START_US = 1_767_571_200_000_000
FEATURES = tuple(1 / (place + 3) for place in range(24))


def fill(settings: Settings, scores: int, labels: int) -> None:
    """So many scores of two weeks, and labels on some of them a day or two later."""
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers, "queue.buffering.max.messages": 2_000_000})
    for number in range(scores):
        time_us = START_US + number * 14 * DAY_US // scores
        transaction = Transaction(number, number % 2_000, 1_999, time_us, "NY", "Amazon", "mobile")
        fraud = number % (scores // labels) == 0
        message = encode(transaction, number, FEATURES, Verdict(0.01 + 0.9 * fraud, fraud), "3f9c0a1b2c3d", "0" * 12)
        producer.produce(settings.scores_topic, message, transaction.key)
        if fraud:
            label = Label(number, number % 2_000, True, time_us, time_us + DAY_US + number % DAY_US, "customer")
            producer.produce(settings.labels_topic, label.to_json(), label.key)
    assert producer.flush(300) == 0


def join(settings: Settings, scores: int, labels: int) -> float:
    """Processor seconds until all of it is joined."""
    metrics, letters = FeedbackMetrics(), DeadLetters(settings.bootstrap_servers, settings.dead_letter_topic)
    with (
        contextlib.closing(FeedbackStore(settings.feedback / "joined.sqlite")) as store,
        contextlib.closing(LogReader(settings, store, metrics)) as reader,
    ):
        registry = ModelRegistry(settings.models_dir)  # without a model, no drift is watched
        feedback, left = Feedback(store, letters, metrics, registry), scores + labels
        began = time.process_time()
        while left > 0:
            batch = reader.poll()
            left -= len(batch.scores) + len(batch.labels)
            feedback.work(batch)
            feedback.publish()
        return time.process_time() - began


def main() -> None:
    """Measure both kinds of traffic and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--scores", type=int, default=200_000)
    options = parser.parse_args()
    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        base = replace(Settings.from_environment(), kafka_port=0, work_dir=Path(folder))
        with start_broker(base) as broker:
            for name, labels in (("as_usual", options.scores // 130), ("many_labels", options.scores // 2)):
                topics = {f"{topic}_topic": f"{topic}-{name}" for topic in ("transactions", "scores", "labels")}
                settings = replace(broker.settings, **topics, state_dir=Path(name))
                ensure_scores_topic(settings)
                ensure_labels_topic(settings)
                fill(settings, options.scores, labels)
                seconds = join(settings, options.scores, labels)
                rates[name] = (options.scores + labels) / seconds
                print(
                    f"{name:12}  {options.scores:,} scores, {labels:,} labels: {rates[name]:,.0f} a second on one core"
                )
    if options.json:
        print(json.dumps({f"feedback_{name}_tps": rate for name, rate in rates.items()}))


if __name__ == "__main__":
    main()
