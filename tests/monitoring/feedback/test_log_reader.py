"""A reader that is behind takes records in the order in which they were made, whatever partition they lie in."""

from __future__ import annotations

import itertools
import uuid
from contextlib import closing
from dataclasses import replace

import pytest
from kafka import KafkaProducer

from capstone_utils.ingestion.streaming.topics import create_topics, ensure_scores_topic
from capstone_utils.monitoring.feedback import log_reader
from capstone_utils.monitoring.feedback.log_reader import LogReader
from capstone_utils.monitoring.feedback.metrics import FeedbackMetrics
from capstone_utils.monitoring.feedback.store import FeedbackStore

RECORDS = 1_200
STEP_MS = 10


@pytest.fixture
def settings(broker):
    name = uuid.uuid4().hex
    names = {f"{topic}_topic": f"{topic}-{name}" for topic in ("transactions", "scores", "labels")}
    return replace(broker.settings, **names)


def send_in_order(settings):
    """Records a hundredth of a second apart, in turn to each of four partitions of a topic that keeps their times."""
    kept = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
    create_topics(settings.bootstrap_servers, {settings.scores_topic: 4}, kept)
    with closing(KafkaProducer(bootstrap_servers=settings.bootstrap_servers)) as producer:
        for number in range(RECORDS):
            time_ms = 1_767_571_200_000 + number * STEP_MS
            producer.send(settings.scores_topic, b"%d" % number, partition=number % 4, timestamp_ms=time_ms)


def read(settings, store, number):
    """Batches until so many records were read, each kept before the next one."""
    batches = []
    with closing(LogReader(settings, store, FeedbackMetrics())) as reader:
        while sum(len(batch.scores) for batch in batches) < number:
            batches.append(reader.poll())
            store.add([], [], batches[-1].offsets)
    return [batch for batch in batches if batch.scores]


def test_a_batch_is_never_older_than_the_one_before_it_and_a_restart_goes_on_after_what_was_kept(
    settings, tmp_path, monkeypatch
):
    monkeypatch.setattr(log_reader, "BATCH_RECORDS", 50)
    send_in_order(settings)
    with closing(FeedbackStore(tmp_path / "joined.sqlite")) as store:
        batches = read(settings, store, RECORDS // 2)
        batches += read(settings, store, RECORDS - sum(len(batch.scores) for batch in batches))
    assert len(batches) > 4
    for before, after in itertools.pairwise(batches):
        latest = max(record.timestamp for record in before.scores)
        assert min(record.timestamp for record in after.scores) > latest - 4 * STEP_MS
    values = sorted(int(record.value) for batch in batches for record in batch.scores)
    assert values == list(range(RECORDS))


def test_more_records_than_memory_is_for_are_not_held_back_for_their_order(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(log_reader, "BATCH_RECORDS", 50)
    monkeypatch.setattr(log_reader, "MOST_WAITING", 120)
    send_in_order(settings)
    with closing(FeedbackStore(tmp_path / "joined.sqlite")) as store:
        batches = read(settings, store, RECORDS)
    assert max(len(batch.scores) for batch in batches) <= 120 + 50
    assert sorted(int(record.value) for batch in batches for record in batch.scores) == list(range(RECORDS))


def test_a_partition_without_records_holds_up_nothing(settings, tmp_path):
    ensure_scores_topic(settings)
    with closing(KafkaProducer(bootstrap_servers=settings.bootstrap_servers)) as producer:
        producer.send(settings.scores_topic, b"1", partition=2)
    with closing(FeedbackStore(tmp_path / "joined.sqlite")) as store:
        (batch,) = read(settings, store, 1)
    assert batch.offsets == {(settings.scores_topic, 2): 1}
