"""How many scores and labels a second the feedback process joins on one core, reading from a real broker.

The time is the processor's of this process: decoding, joining, committing, watching the drift of the course's model,
and the reports in between, whatever else the machine does.
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

from benchmarks.kept import keep
from capstone_utils.course.materials import course_stream, ensure_enriched, ensure_models
from capstone_utils.course.results import Figure
from capstone_utils.features.spec import SPEC
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
from capstone_utils.serving.score import SPEC_DIGITS, encode
from capstone_utils.settings import Settings
from capstone_utils.transaction import DAY_US, Transaction

START_US = 1_767_571_200_000_000
KEPT, SCORES = "feedback", 200_000
FEATURES = tuple(1 / (place + 3) for place in range(len(SPEC.names)))


def fill(settings: Settings, version: str, scores: int, labels: int) -> None:
    """So many scores of two weeks by a version of the model, and labels on some of them a day or two later."""
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers, "queue.buffering.max.messages": 2_000_000})
    for number in range(scores):
        time_us = START_US + number * 14 * DAY_US // scores
        transaction = Transaction(number, number % 2_000, 1_999, time_us, "NY", "Amazon", "mobile")
        fraud = number % (scores // labels) == 0
        message = encode(
            transaction, number, FEATURES, Verdict(0.01 + 0.9 * fraud, fraud), version, SPEC.hash[:SPEC_DIGITS]
        )
        producer.produce(settings.scores_topic, message, transaction.key)
        if fraud:
            label = Label(number, number % 2_000, True, time_us, time_us + DAY_US + number % DAY_US, "customer")
            producer.produce(settings.labels_topic, label.to_json(), label.key)
    assert producer.flush(300) == 0


def join(settings: Settings, registry: ModelRegistry, scores: int, labels: int) -> float:
    """Processor seconds until all of it is joined."""
    metrics, letters = FeedbackMetrics(), DeadLetters(settings.bootstrap_servers, settings.dead_letter_topic)
    with (
        contextlib.closing(FeedbackStore(settings.feedback / "joined.sqlite")) as store,
        contextlib.closing(LogReader(settings, store, metrics)) as reader,
    ):
        feedback = Feedback(store, letters, metrics, registry)
        left = scores + labels
        began = time.process_time()
        while left > 0:
            batch = reader.poll()
            left -= len(batch.scores) + len(batch.labels)
            feedback.work(batch)
            feedback.publish()
        return time.process_time() - began


def rates(scores: int) -> dict[str, float]:
    """Joined a second by kind of traffic: labels as they usually are, and one on every second score."""
    course = Settings.from_environment()
    ensure_models(course, ensure_enriched(course, course_stream()))
    registry, measured = ModelRegistry(course.models_dir), {}
    with (
        tempfile.TemporaryDirectory() as folder,
        start_broker(replace(course, kafka_port=0, work_dir=Path(folder))) as broker,
    ):
        for name, labels in (("as_usual", scores // 130), ("many_labels", scores // 2)):
            topics = {f"{topic}_topic": f"{topic}-{name}" for topic in ("transactions", "scores", "labels")}
            settings = replace(broker.settings, **topics, state_dir=Path(name))
            ensure_scores_topic(settings)
            ensure_labels_topic(settings)
            fill(settings, registry.champion(), scores, labels)
            measured[name] = (scores + labels) / join(settings, registry, scores, labels)
            print(f"{name:12}  {scores:,} scores, {labels:,} labels: {measured[name]:,.0f} a second on one core")
    return measured


def main() -> None:
    """Measure both kinds of traffic and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--scores", type=int, default=SCORES, help=f"how many (default: {SCORES:,})")
    parser.add_argument("--keep", action="store_true", help=f"write docs/{KEPT}.json, which the documents quote")
    options = parser.parse_args()
    results = {f"{KEPT}_{name}_tps": rate for name, rate in rates(options.scores).items()}
    if options.keep:
        keep(KEPT, {name: Figure(rate, "a second") for name, rate in results.items()})
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
