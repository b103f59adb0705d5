"""A worker killed at any step, again and again: nothing is lost, nothing comes twice, every score bit for bit."""

import itertools
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
from kafka.admin import ConfigResource, ConfigResourceType

from capstone_utils.ingestion.streaming.clients import open_admin
from capstone_utils.ingestion.streaming.partition_log import read_partition
from tests.faults.house import POISON, STEPS

CLIENTS = ("kafka-python", "confluent")


def allow_large_messages(house):
    with open_admin(house.settings.bootstrap_servers) as admin:
        limit = {"max.message.bytes": str(16 * 2**20)}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, house.settings.transactions_topic, limit)])


@pytest.mark.parametrize("client", CLIENTS)
def test_killed_after_each_step_with_poison_late_and_repeated_payments(house, arrivals, client):
    house.settings = house.with_(kafka_client=client)
    allow_large_messages(house)
    house.send(arrivals[:1500])
    house.poison()
    house.send(arrivals[1500:4000])
    for step in STEPS:
        with house.worker(None, step, "2") as process:
            assert process.wait(60) == -signal.SIGKILL
    found = house.finish()
    assert found.sound, found
    assert (found.unreadable, found.transactions + found.duplicates) == (len(POISON), 4000)
    letters = list(read_partition(house.settings.bootstrap_servers, house.settings.dead_letter_topic, 0))
    assert sorted(map(repr, ((each.key, each.value) for each in letters))) == sorted(map(repr, POISON))
    assert all({name for name, _ in letter.headers} >= {"reason", "source_partition"} for letter in letters)


def random_kills(house, arrivals, kills, seed, rate):
    """Kill workers at random moments, each while there is something left to score; the audit's report."""
    generator, arrivals = np.random.default_rng(seed), iter(arrivals)
    with ThreadPoolExecutor(1) as background:
        for _ in range(kills):
            started, stopping = house.started(), threading.Event()
            with house.worker() as process:
                house.wait(lambda before=started: house.started() > before)
                payments = itertools.takewhile(lambda _, stopping=stopping: not stopping.is_set(), arrivals)
                sending = background.submit(house.send, payments, rate)
                stopping.wait(generator.uniform(0.2, 2))
                house.wait(lambda: house.behind() > 0)
                process.kill()
                process.wait()
            stopping.set()
            sending.result()
    return house.finish()


@pytest.mark.parametrize("client", CLIENTS)
def test_killed_at_random_moments_under_load(house, arrivals, client):
    house.settings = house.with_(kafka_client=client)
    found = random_kills(house, arrivals, kills=3, seed=0, rate=500)
    assert found.sound, found


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("client", CLIENTS)
def test_killed_twenty_times_in_a_row(house, arrivals, client):
    house.settings = house.with_(kafka_client=client)
    found = random_kills(house, arrivals, kills=20, seed=1, rate=100)
    assert found.sound, found


@pytest.mark.parametrize("client", [CLIENTS[0], pytest.param(CLIENTS[1], marks=pytest.mark.soak)])
def test_frozen_with_a_batch_in_hand_until_its_group_has_forgotten_it(house, arrivals, client):
    house.settings = house.with_(kafka_client=client)
    house.send(arrivals[:1000])
    with house.worker(None, "freeze", "1") as frozen:
        house.wait(lambda: psutil.Process(frozen.pid).status() == psutil.STATUS_STOPPED)
        house.settings = house.with_(worker_name="2")
        house.finish()
        house.wait(lambda: house.members() == 0)  # the other one's session ends too
        frozen.send_signal(signal.SIGCONT)  # its batch has been scored by the other one
        house.wait(lambda: frozen.poll() or "not committed" in house.logged() or not house.audit().sound)
    found = house.settled_audit()
    assert found.sound, found
