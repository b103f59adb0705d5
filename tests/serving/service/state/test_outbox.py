"""The service's scores reach the topic: from the journal, at least once, and without a response that waits for it."""

import os
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest

from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.streaming.partition_log import read_topic
from capstone_utils.ingestion.streaming.producer import produce
from capstone_utils.ingestion.streaming.topics import create_topics
from capstone_utils.serving.model.classifier import Verdict
from capstone_utils.serving.score import Score, ScoreMessage
from capstone_utils.serving.service.server import start_service
from capstone_utils.serving.service.state.journal import Journal, read_segment, segment, segments
from capstone_utils.serving.service.state.outbox import (
    Position,
    drop_position,
    read_position,
    waiting_bytes,
    write_position,
)
from capstone_utils.serving.service.state.recovery import forget as forget_segments
from capstone_utils.serving.service.state.recovery import load_state, recover, save, snapshots
from capstone_utils.settings import ROOT

DYING = Path(__file__).with_name("dying_outbox.py")


@pytest.fixture
def settings(broker, tmp_path):
    name = uuid.uuid4().hex
    own = replace(
        broker.settings,
        work_dir=tmp_path,
        api_port=0,
        metrics_port=0,
        transactions_topic=f"payments-{name}",
        scores_topic=f"scores-{name}",
        publish_scores=True,
    )
    create_topics(broker.bootstrap_servers, {own.transactions_topic: 4})
    return own


@pytest.fixture
def transactions(stream):
    return list(transactions_of(stream.transactions.head(300)))


def published(settings):
    """The topic's scores, repeats included."""
    return [
        ScoreMessage.from_json(each.value) for each in read_topic(settings.bootstrap_servers, settings.scores_topic)
    ]


def journaled(folder):
    return [score for number in segments(folder) for score in read_segment(segment(folder, number))]


def keep(folder, transactions, segment_bytes=8_000):
    """A journal of scores in several segments, as the service writes it."""
    with Journal(folder, segment_bytes) as journal:
        state = load_state(journal, folder / "no history")
        for transaction in transactions:
            features = state.online.update(transaction)
            journal.append(Score(transaction, Verdict(0.25, False), features, "abc", state.spec_digits))


def post(service, transactions):
    body = [transaction.to_dict() for transaction in transactions]
    response = httpx.post(f"{service.url}/score/batch", json=body, timeout=30)
    assert response.status_code == 200, response.text
    return response.json()


def sender(settings):
    """The process that sends what this settings' journal holds."""
    folder = str(settings.journal.resolve())
    found = [each for each in psutil.process_iter(["cmdline"]) if (each.info["cmdline"] or [])[-1:] == [folder]]
    return next(each for each in found if each.info["cmdline"][1] == "-m")


def test_scores_over_http_reach_the_topic_as_they_were_given_and_a_killed_sender_comes_back(
    settings, scorer, transactions, wait_until
):
    produce(settings.bootstrap_servers, settings.transactions_topic, transactions)  # for the partitions alone
    with Journal(settings.journal) as journal, start_service(settings, scorer, journal) as service:
        responses = post(service, transactions[:100])
        wait_until(lambda: waiting_bytes(journal.folder) == 0)
        sender(settings).kill()
        responses += post(service, transactions[100:])
        wait_until(lambda: waiting_bytes(journal.folder) == 0)
        metrics = httpx.get(f"http://{service.metrics_address}/metrics").text
        assert "\noutbox_waiting_bytes 0.0" in metrics
    scores = {score.transaction_id: score for score in published(settings)}
    assert scores.keys() == {transaction.transaction_id for transaction in transactions}
    for transaction, response in zip(transactions, responses, strict=True):
        score = scores[transaction.transaction_id]
        assert (score.door, score.source_offset, score.amount) == ("http", None, transaction.amount_cents / 100)
        stated = score.prediction, score.fraud_probability, score.decided_by
        assert stated == tuple(response[name] for name in ("prediction", "fraud_probability", "decided_by"))
    partition = {each.key: each.partition for each in read_topic(settings.bootstrap_servers, settings.scores_topic)}
    for record in read_topic(settings.bootstrap_servers, settings.transactions_topic):
        assert partition[record.key] == record.partition


def test_the_service_runs_without_a_broker_and_what_waits_is_sent_after_the_next_start(
    settings, scorer, transactions, wait_until
):
    absent = replace(settings, kafka_port=1)
    with Journal(settings.journal) as journal, start_service(absent, scorer, journal) as service:
        began = time.monotonic()
        post(service, transactions[:50])
        assert time.monotonic() - began < 2, "a response waited for the broker"
        assert waiting_bytes(journal.folder) > 0
    with Journal(settings.journal) as journal, start_service(settings, scorer, journal):
        wait_until(lambda: waiting_bytes(journal.folder) == 0)
    assert {score.transaction_id for score in published(settings)} == {
        each.transaction_id for each in transactions[:50]
    }


@pytest.mark.parametrize("step", ["sent", "written"])
def test_a_sender_that_is_killed_at_any_batch_loses_nothing(settings, transactions, step):
    folder = settings.journal
    keep(folder, transactions)
    write_position(folder, Position(min(segments(folder)), 0))
    environment = os.environ | settings.to_environment() | {"PYTHONPATH": str(ROOT)}
    for kill_at in (1, 2, 3):
        command = [sys.executable, str(DYING), str(folder), step, str(kill_at)]
        assert subprocess.run(command, cwd=ROOT, env=environment, timeout=60).returncode == -signal.SIGKILL
    sound = [sys.executable, str(DYING), str(folder), step, "0"]
    assert subprocess.run(sound, cwd=ROOT, env=environment, timeout=60).returncode == 0
    scores = published(settings)
    assert {score.transaction_id for score in scores} == {each.transaction_id for each in transactions}
    assert len({(score.transaction_id, repr(score)) for score in scores}) == len(transactions), "repeats are equal"
    assert waiting_bytes(folder) == 0


def test_segments_stay_until_they_are_sent_and_a_dropped_outbox_holds_none(tmp_path, transactions):
    folder = tmp_path / "journal"
    keep(folder, transactions)
    first, *_, last = segments(folder)
    write_position(folder, Position(first + 1, 0))
    for number in (last, last + 1):
        if number > max(snapshots(folder)):
            save(recover(folder, number, folder / "no history"), folder, number)
    forget_segments(folder)
    assert segments(folder)[0] == first + 1
    assert [each.transaction for each in journaled(folder)][-1] == transactions[-1]
    drop_position(folder)
    assert read_position(folder) is None
    forget_segments(folder)
    assert segments(folder)[0] == snapshots(folder)[0]
