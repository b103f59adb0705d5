"""Workers come, go and freeze; the topic grows; the log shrinks; the model changes: the scores stay right."""

import json
import shutil
import signal
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from kafka import TopicPartition
from kafka.admin import NewPartitions

from capstone_utils.ingestion.streaming.clients import NoBroker, open_admin
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.model.registry import POINTER, ModelRegistry
from capstone_utils.serving.model.store import MANIFEST, InvalidModel
from capstone_utils.serving.worker.main import run_worker
from capstone_utils.settings import InvalidSetting, Settings

CLIENTS = ("kafka-python", "confluent")


@pytest.mark.parametrize("client", CLIENTS)
def test_one_joins_one_leaves_and_one_freezes_and_wakes_as_a_zombie(house, arrivals, client):
    house.settings = house.with_(kafka_client=client)
    first, second = house.settings, house.with_(worker_name="2")
    sending = threading.Thread(target=house.send, args=(arrivals[:6000], 250))
    sending.start()
    with house.worker(first) as one:
        house.wait(lambda: house.started() == 1)
        with house.worker(second) as two:  # joins: the partitions are shared out anew, in the middle of batches
            house.wait(lambda: house.started() == 2)
            house.wait(lambda: "partition" in house.logged().rpartition("worker 2 of")[2])
            one.send_signal(signal.SIGSTOP)  # frozen, until its session is over and the other one has its partitions
            sending.join()
            house.wait_until_done()
            one.send_signal(signal.SIGCONT)
            house.send(arrivals[6000:7000])
            house.wait_until_done()
            two.terminate()
            assert two.wait(60) == 0
            house.send(arrivals[7000:7500])
            house.settings = house.with_(worker_name="3")
            found = house.finish()
    assert found.sound, found


@pytest.mark.parametrize("client", CLIENTS)
def test_a_second_worker_of_the_same_name_takes_the_first_one_s_place(house, arrivals, client):
    house.settings = house.with_(kafka_client=client)
    with house.worker() as first:
        house.send(arrivals[:500])
        house.wait_until_done()
        with house.worker():
            house.wait(lambda: house.started() == 2)
            house.send(arrivals[500:1000])
            assert first.wait(60) == 1
            house.wait_until_done()
    assert "this worker leaves: another one has its name (CAPSTONE_WORKER_NAME)" in house.logged()
    found = house.settled_audit()
    assert found.sound, found


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"work_dir": Path("nowhere")}, InvalidModel, "there is no model in nowhere"),
        ({"kafka_port": 1}, NoBroker, "no Kafka broker answers at 127.0.0.1:1"),
        ({"kafka_client": "rdkafka"}, InvalidSetting, "CAPSTONE_KAFKA_CLIENT=rdkafka is neither"),
        ({"worker_metrics_port": 1}, InvalidSetting, "CAPSTONE_WORKER_METRICS_PORT=.*: the worker cannot listen there"),
    ],
)
def test_a_worker_that_cannot_start_says_why(house, changes, error, sentence):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        if "worker_metrics_port" in changes:
            changes = {"worker_metrics_port": taken.getsockname()[1]}
        with pytest.raises(error, match=sentence):
            run_worker(house.with_(**changes), threading.Event())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"CAPSTONE_KAFKA_PORT": "99999"}, "CAPSTONE_KAFKA_PORT=99999 is not a port"),
        ({"CAPSTONE_WORK_DIR": "SPOILT"}, "daily_tables.npz holds no whole batch tables"),
    ],
)
def test_a_worker_process_that_cannot_start_says_why_in_a_sentence(house, tmp_path, changes, sentence):
    settings = Settings(work_dir=tmp_path / "spoilt")
    ModelRegistry(settings.models_dir).publish(ModelRegistry(house.settings.models_dir).load())
    settings.daily_tables.write_bytes(house.settings.daily_tables.read_bytes()[:100])
    changes = {name: value.replace("SPOILT", str(settings.work_dir)) for name, value in changes.items()}
    with house.worker(environment=changes) as process:
        assert process.wait(60) == 1
    assert sentence in house.logged()
    assert "Traceback" not in house.logged()


def test_partitions_are_added_under_load(house, arrivals):
    with house.worker():
        house.send(arrivals[:1000])
        house.wait_until_done()
        with open_admin(house.settings.bootstrap_servers) as admin:
            admin.create_partitions({house.settings.transactions_topic: NewPartitions(6)})
        house.wait(lambda: len(house.ends()) == 6)
        house.send(arrivals[1000:2000])
        house.wait_until_done()
    found = house.settled_audit()
    assert found.sound, found
    assert found.moved == 0  # the producer knew the new partitions, and so did the worker


def test_what_retention_deleted_unread_is_counted_and_what_is_left_is_right(house, arrivals):
    house.send(arrivals[:1000])
    house.finish()
    committed = house.ends()
    house.send(arrivals[1000:2000])
    with open_admin(house.settings.bootstrap_servers) as admin:
        topic = house.settings.transactions_topic
        admin.delete_records({TopicPartition(topic, part): end - 100 for part, end in house.ends().items()})
    gone = {part: end - 100 - committed[part] for part, end in house.ends().items()}
    assert min(gone.values()) > 0
    found = house.finish()
    assert (found.transactions + found.duplicates, found.lost, found.unequal, found.twice) == (400, [], [], [])
    assert all(f"partition {part}: {number} records were deleted" in house.logged() for part, number in gone.items())


def test_the_model_is_swapped_under_load_also_for_a_corrupt_one(house, arrivals, tmp_path):
    models = ModelRegistry(house.settings.models_dir).load()
    settings = Settings(work_dir=tmp_path / "own")
    registry = ModelRegistry(settings.models_dir)
    registry.publish(models)
    settings.daily_tables.write_bytes(house.settings.daily_tables.read_bytes())
    house.settings = house.with_(work_dir=settings.work_dir)
    sending = threading.Thread(target=house.send, args=(arrivals[:4000], 400))
    with house.worker():
        house.wait(lambda: house.started() == 1)
        sending.start()
        house.wait(lambda: sum(house.ends().values()) > 500)
        second = registry.publish(replace(models, score=models.score._replace(threshold=0.9)))
        house.wait(lambda: "decides from now on" in house.logged())
        corrupt = settings.models_dir / ("0" * 12)
        shutil.copytree(registry.path(), corrupt)
        (corrupt / MANIFEST).write_text("{}")
        (settings.models_dir / POINTER).write_text(json.dumps({"champion": corrupt.name, "former": [second]}))
        house.wait(lambda: "a model was refused" in house.logged())
        sending.join()
        house.wait_until_done()
    house.classifiers[second] = Classifier(registry.load(second))
    found = house.settled_audit()
    assert found.sound, found
