"""`retrain`, `nightly` and `watch` on what the topics hold."""

import json
import uuid
from dataclasses import replace

import numpy as np
import orjson
import pytest

from capstone_utils import __main__ as entry
from capstone_utils.commands import run_command
from capstone_utils.features.daily_reload import last_day
from capstone_utils.features.daily_tables import daily_tables, read_daily
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.labels import LABEL_DELAY_DAYS
from capstone_utils.ingestion.simulation.reported_labels import reports
from capstone_utils.ingestion.simulation.simulator import SimulatorConfig, simulate
from capstone_utils.ingestion.streaming.clients import NoBroker, Producer
from capstone_utils.ingestion.streaming.producer import replay
from capstone_utils.ingestion.streaming.topics import ensure_labels_topic, ensure_scores_topic
from capstone_utils.monitoring.release.history import InvalidHistory, last_midnight, settled_rows, topics_history
from capstone_utils.monitoring.release.ledger import Ledger
from capstone_utils.serving.model.classifier import Verdict
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.score import SPEC_DIGITS, encode
from capstone_utils.transaction import DAY_US


@pytest.fixture(scope="module")
def stream():
    return simulate(SimulatorConfig(seed=3, customers=100, days=16))


@pytest.fixture
def settings(broker, tmp_path, monkeypatch):
    name = uuid.uuid4().hex
    topics = {f"{topic}_topic": f"{topic}-{name}" for topic in ("transactions", "scores", "labels")}
    own = replace(broker.settings, work_dir=tmp_path, **topics)
    for setting, value in own.to_environment().items():
        monkeypatch.setenv(setting, value)
    ensure_scores_topic(own)
    ensure_labels_topic(own)
    return own


def run(*arguments):
    return run_command(entry.parse_arguments([*arguments]))


def send(settings, stream, version):
    """The stream and its reports, and a score of each payment by a worker that calls none of them fraud."""
    features = offline_features(stream.transactions, SPEC, daily_tables(stream.transactions, stream.labels))
    rows = features[list(SPEC.names)].to_numpy(float).tolist()
    payments = list(transactions_of(stream.transactions))
    with Producer(settings.bootstrap_servers) as producer:
        for number, (payment, row) in enumerate(zip(payments, rows, strict=True)):
            message = encode(payment, number, row, Verdict(0.0, False), version, SPEC.hash[:SPEC_DIGITS])
            producer.send(settings.scores_topic, message, payment.key)
            producer.send(settings.transactions_topic, payment.to_json(), payment.key)
        producer.send(settings.labels_topic, b"no label", b"1")
    replay(settings, [], reports(stream.transactions, stream.labels))
    return dict(zip((payment.transaction_id for payment in payments), rows, strict=True))


def test_the_topics_are_a_history_with_features_as_they_were_served(settings, stream):
    rows = send(settings, stream, "abc")
    history = topics_history(settings)
    assert sorted(history.transactions["transaction_id"]) == sorted(stream.transactions["transaction_id"])
    known = reports(stream.transactions, stream.labels)
    assert set(history.reports["transaction_id"]) == {label.transaction_id for label in known}
    assert history.served.loc[7, list(SPEC.names)].to_numpy(float).tolist() == pytest.approx(rows[7], nan_ok=True)

    now = last_midnight(history)
    settled = settled_rows(history, "abc", now)
    until = now - LABEL_DELAY_DAYS * DAY_US
    assert len(settled) == (stream.transactions["event_time_us"] < until).sum()
    old = [label for label in known if label.event_time_us < until and label.known_at_us <= now and label.is_fraud]
    assert settled["is_fraud"].sum() == len(old) > 0
    assert len(settled_rows(history, "another", now)) == 0


def test_the_commands_take_the_topics_where_no_folder_is_named(settings, stream, sound, tmp_path, capsys):
    version = ModelRegistry(settings.models_dir).publish(sound)
    send(settings, stream, version)
    assert run("retrain") == 3
    assert "the challenger was refused: training_frauds" in capsys.readouterr().out
    assert run("nightly") == 0
    assert last_day(read_daily(tmp_path / "daily_tables.npz")) == last_midnight(topics_history(settings)) // DAY_US
    assert run("watch") == 0
    assert f"settled payments of {version}: nothing lies below its promise; {version} stays" in capsys.readouterr().out


def test_a_watch_that_finds_no_transaction_yet_says_so(settings, capsys):
    ModelRegistry(settings.models_dir).directory.mkdir()
    assert run("watch") == 1
    assert "holds no transaction yet" in capsys.readouterr().err


def test_a_watch_that_looks_again_and_again_says_what_is_missing_and_goes_on(monkeypatch, capsys):
    looks = iter([InvalidHistory("no transaction yet"), NoBroker("no broker"), "all is well", KeyboardInterrupt()])

    def look(_):
        found = next(looks)
        if isinstance(found, BaseException):
            raise found
        return found

    monkeypatch.setattr("capstone_utils.commands.release._watched", look)
    assert run("watch", "--every", "0.01") == 130
    said = capsys.readouterr()
    assert said.err.startswith(
        "nothing watched: no transaction yet; again in 0.01 s\nnothing watched: no broker; again in 0.01 s\n"
    )
    assert said.out == "all is well\n"


def test_watch_goes_back_to_the_version_before_when_settled_payments_break_the_promise(
    settings, sound, promising, rows, capsys
):
    registry = ModelRegistry(settings.models_dir)
    before = registry.publish(sound)
    version = registry.publish(promising)
    times = 1_767_571_200_000_000 + np.arange(len(rows)) * 20 * DAY_US // len(rows)
    with Producer(settings.bootstrap_servers) as producer:
        for number, (row, time_us) in enumerate(
            zip(rows[list(SPEC.names)].to_numpy(float).tolist(), times.tolist(), strict=True)
        ):
            payment = {"transaction_id": number, "user_id": 1 + number % 400, "amount": 5.0, "timestamp": time_us / 1e6}
            texts = {"location": "NY", "merchant": "Amazon", "device": "mobile"}
            key = b"%d" % payment["user_id"]
            producer.send(settings.transactions_topic, orjson.dumps(payment | texts), key)
            said = {"prediction": "Legit", "fraud_probability": 0.5, "decided_by": "model", "model_version": version}
            more = {"spec": SPEC.hash[:SPEC_DIGITS], "door": "stream", "source_offset": number, "features": row}
            producer.send(settings.scores_topic, orjson.dumps(payment | {"merchant": "Amazon"} | said | more), key)
            if rows["is_fraud"].iloc[number]:
                label = {"transaction_id": number, "user_id": payment["user_id"], "is_fraud": True}
                when = {"timestamp": time_us / 1e6, "known_at": time_us / 1e6 + 3600, "source": "customer"}
                producer.send(settings.labels_topic, orjson.dumps(label | when), key)
    assert run("watch") == 0
    out = capsys.readouterr().out
    assert f"{before} decides again" in out
    assert "recall 0.000, at most 0.000, was promised to be at least 0.900" in out
    assert registry.champion() == before
    assert [json.loads(line)["outcome"] for line in Ledger(settings.gate_dir).path.read_text().splitlines()] == [
        "rolled_back"
    ]


def test_topics_without_a_transaction_are_a_sentence(settings, capsys):
    with pytest.raises(InvalidHistory, match="holds no transaction yet"):
        topics_history(settings)
    assert run("nightly") == 1
    assert "holds no transaction yet" in capsys.readouterr().err
