"""The feedback process on a real broker: killed at any moment, nothing is lost and nothing counts twice."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from kafka import KafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.reported_labels import reports
from capstone_utils.ingestion.simulation.simulator import SimulatorConfig, simulate
from capstone_utils.ingestion.streaming.partition_log import read_topic
from capstone_utils.ingestion.streaming.producer import replay
from capstone_utils.ingestion.streaming.topics import ensure_scores_topic, recreate_topic
from capstone_utils.monitoring.feedback.records import ScoreRow
from capstone_utils.monitoring.feedback.store import FeedbackStore
from capstone_utils.serving.model.classifier import Verdict
from capstone_utils.serving.score import encode
from capstone_utils.settings import ROOT

DYING = Path(__file__).with_name("dying_feedback.py")
SOUND = [sys.executable, "-m", "capstone_utils.monitoring.feedback.main"]
POISON = [(b"7", b'{"broken": '), (b"9", None), (b"8", b'{"transaction_id": 1}')]


@pytest.fixture(scope="module")
def stream():
    return simulate(SimulatorConfig(seed=3, customers=100, days=20))


class House:
    """Topics of a test's own with scores and labels in them, and processes that join them."""

    def __init__(self, settings, folder):
        self.log = folder / "feedback.log"
        name = uuid.uuid4().hex
        self.settings = replace(
            settings,
            work_dir=folder,
            feedback_metrics_port=0,
            transactions_topic=f"payments-{name}",
            scores_topic=f"scores-{name}",
            labels_topic=f"labels-{name}",
            dead_letter_topic=f"dead-{name}",
        )
        ensure_scores_topic(self.settings)

    def send(self, stream):
        """The stream's scores, some twice, its reports and what is none; the scores' messages and the labels."""
        labels = reports(stream.transactions, stream.labels)
        reported = {label.transaction_id for label in labels}
        messages = []
        with contextlib.closing(KafkaProducer(bootstrap_servers=self.settings.bootstrap_servers)) as producer:
            for number, transaction in enumerate(transactions_of(stream.transactions)):
                fraud = transaction.transaction_id in reported and number % 3 > 0
                message = encode(transaction, number, (1.0,), Verdict(0.7 * fraud, fraud), "abc", "def")
                messages.append(message)
                for _ in range(1 + (number % 50 == 0)):
                    producer.send(self.settings.scores_topic, message, transaction.key)
            replay(self.settings, [], labels)
            for key, value in POISON:
                producer.send(self.settings.labels_topic, value, key, partition=0)
            replay(self.settings, [], labels[:5])
        return messages, labels

    @contextlib.contextmanager
    def process(self, *dying):
        """A feedback process, sound or dying at a step; killed at the end, if it still runs."""
        environment = os.environ | self.settings.to_environment() | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, str(DYING), *dying] if dying else SOUND
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def samples(self):
        """The metrics of the latest process that serves them, by name and values of labels; or none."""
        found = re.findall(r"http://\S+/metrics", self.logged())
        try:
            text = httpx.get(found[-1]).text if found else ""
        except httpx.HTTPError:
            return {}
        families = text_string_to_metric_families(text)
        return {
            (each.name, *(value for _, value in sorted(each.labels.items()))): each.value
            for family in families
            for each in family.samples
        }

    def logged(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def kept(self):
        """All that the file holds of scores and labels."""
        return contents(self.settings.feedback / "joined.sqlite")


def contents(path):
    with contextlib.closing(sqlite3.connect(path)) as file:
        return [file.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall() for table in ("scores", "labels")]


@pytest.fixture
def house(broker, tmp_path):
    return House(broker.settings, tmp_path)


def undisturbed(messages, labels, folder):
    """What a join that was never killed holds."""
    store = FeedbackStore(folder / "undisturbed.sqlite")
    store.add([ScoreRow.from_json(message) for message in messages], labels, {})
    store.close()
    return contents(folder / "undisturbed.sqlite")


def test_killed_at_each_step_it_loses_nothing_and_doubles_nothing(house, stream, wait_until, tmp_path):
    messages, labels = house.send(stream)
    for step, number in [("rows", "2"), ("kept", "3"), ("rows", "4"), ("kept", "1"), ("letters", "1")]:
        with house.process(step, number) as process:
            assert process.wait(60) == -signal.SIGKILL, house.logged()[-2000:]
    expected = undisturbed(messages, labels, tmp_path)
    with house.process("kept", "0") as process:
        wait_until(lambda: house.kept() == expected, 60)
        process.terminate()
        assert process.wait(30) == 0
    letters = list(read_topic(house.settings.bootstrap_servers, house.settings.dead_letter_topic))
    assert {(each.key, each.value) for each in letters} == set(POISON)


def test_what_arrives_is_counted_by_its_outcome_and_published(house, stream, wait_until):
    messages, labels = house.send(stream)
    with house.process():
        joined = ("feedback_labels_total", "joined")
        recall = ("live_quality_ratio", "labels", "all", "recall", "settled", "all")
        wait_until(lambda: house.samples().get(joined) == len(labels) and recall in house.samples(), 60)
        wait_until(lambda: house.samples().get(("feedback_scores_total", "joined")) == len(messages), 60)
        samples = house.samples()
    assert samples["feedback_scores_total", "duplicate"] == -(-len(messages) // 50)
    assert samples["feedback_labels_total", "duplicate"] == 5
    assert samples["feedback_labels_total", "unreadable"] == len(POISON)
    assert samples["live_quality_ratio", "labels", "all", "precision", "settled", "all"] == 1
    assert samples[recall] == pytest.approx(2 / 3, abs=0.2)
    assert samples["live_window_seconds", "to", "settled"] < samples["feedback_clock_seconds",] - 6 * 86_400


def test_a_second_process_in_the_same_folder_is_refused_and_the_first_goes_on(house, wait_until):
    with house.process() as first:
        wait_until(lambda: "Ctrl-C stops" in house.logged(), 60)
        with house.process() as second:
            assert second.wait(60) == 1
        assert "another feedback process joins in" in house.logged()
        assert first.poll() is None


def test_topics_that_are_made_anew_meanwhile_are_joined_from_their_beginning(house, stream, wait_until, tmp_path):
    messages, labels = house.send(stream)
    with house.process() as process:
        wait_until(lambda: house.samples().get(("feedback_scores_total", "joined")) == len(messages), 60)
        process.terminate()
        process.wait(30)
    for topic in (house.settings.scores_topic, house.settings.labels_topic):
        recreate_topic(house.settings.bootstrap_servers, topic, 4)
    later = simulate(SimulatorConfig(seed=4, customers=50, days=10))
    messages, labels = house.send(later)
    expected = undisturbed(messages, labels, tmp_path)
    with house.process():
        wait_until(lambda: house.kept() == expected, 60)
