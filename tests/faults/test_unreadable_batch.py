"""A batch that nothing can unpack: the other partitions go on, the worker says where it lies, and it can be stopped."""

import shutil
import subprocess
import sys
import time

import pytest
from confluent_kafka import Producer

from capstone_utils.ingestion.streaming.consumer import GIVEN_UP
from capstone_utils.settings import ROOT
from tests.ingestion.streaming.damaged import damage

CLIENTS = ("kafka-python", "confluent")
STUCK_WORKER = """
import sys, threading, time
from capstone_utils.serving.worker import main

def stuck(settings, stopping):
    print("stuck", flush=True)
    {stuck}

main.run_worker = stuck
sys.exit(main.main())
"""


def send(house, partition, payments):
    """Some batches of ten payments."""
    producer = Producer({"bootstrap.servers": house.settings.bootstrap_servers, "linger.ms": 100})
    for number, payment in enumerate(payments, start=1):
        producer.produce(house.settings.transactions_topic, payment.to_json(), payment.key, partition)
        if number % 10 == 0:
            assert producer.flush(30) == 0


def committed(house, partition):
    scores = house.audit()
    return scores.transactions - len(scores.lost)


@pytest.fixture
def of_two(house, arrivals):
    """Payments of different users, for the partitions 0 and 1."""
    fresh = list(dict.fromkeys(arrivals))
    return [payment for payment in fresh if payment.user_id % 2 == 0][:50], [
        payment for payment in fresh if payment.user_id % 2 == 1
    ][:50]


@pytest.mark.parametrize("client", CLIENTS)
def test_the_other_partitions_go_on_and_sigterm_ends_it_and_what_is_given_up_is_passed_over(
    house, of_two, client, monkeypatch
):
    house.settings = house.with_(kafka_client=client)
    topic = house.settings.transactions_topic
    for partition in (0, 1):
        send(house, partition, of_two[partition])
    damage(house.settings, topic, 0, 10, "an unknown codec")
    with house.worker() as process:
        house.wait(lambda: house.behind() == 40)
        house.wait(lambda: f"{topic}/0 cannot be read at offset 10: " in house.logged())
        began = time.monotonic()
        process.terminate()
        assert process.wait(15) == 0, house.logged()[-3000:]
        assert time.monotonic() - began < 15
    assert "Traceback" not in house.logged()
    monkeypatch.setenv(GIVEN_UP, f"{topic}/0/10-19")
    found = house.finish()
    assert found.sound, found
    assert found.transactions + found.duplicates == 90
    assert "up to 10 records were given up" in house.logged()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_state_that_cannot_be_made_from_its_log_holds_back_its_own_partition_alone(house, of_two, client):
    house.settings = house.with_(kafka_client=client)
    topic = house.settings.transactions_topic
    for partition in (0, 1):
        send(house, partition, of_two[partition][:20])
    house.finish()
    shutil.rmtree(house.settings.work_dir / house.settings.state_dir)  # no snapshot shortens the way
    damage(house.settings, topic, 0, 10, "a flipped bit")
    with house.worker() as process:
        for partition in (0, 1):
            send(house, partition, of_two[partition][20:])
        house.wait(lambda: house.behind() == 30)
        assert f"{topic}/0 cannot be read at offset 10: " in house.logged()
        process.terminate()
        assert process.wait(15) == 0, house.logged()[-3000:]


@pytest.mark.parametrize("stuck", ["while True: pass", "threading.Lock().acquire(); threading.Event().wait()"])
def test_a_worker_whose_client_never_returns_ends_within_fifteen_seconds_all_the_same(stuck):
    command = [sys.executable, "-c", STUCK_WORKER.format(stuck=stuck)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "stuck\n"
        process.terminate()
        assert process.wait(15) == 1
        assert "told to stop, and not done after 12 s" in process.stderr.read()
