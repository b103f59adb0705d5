"""A worker killed at any step, again and again: nothing is lost, nothing comes twice, every score bit for bit."""

import signal
import time

import numpy as np
import pytest
from kafka.admin import ConfigResource, ConfigResourceType

from capstone_utils.ingestion.clients import open_admin
from capstone_utils.ingestion.log import read_partition
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
    assert (found.unreadable, found.payments + found.duplicates) == (len(POISON), 4000)
    letters = list(read_partition(house.settings.bootstrap_servers, house.settings.dead_letter_topic, 0))
    assert sorted(letter.value or b"" for letter in letters) == sorted(value or b"" for _, value in POISON)
    assert all({name for name, _ in letter.headers} >= {"reason", "source_partition"} for letter in letters)


def random_kills(house, arrivals, kills, seed):
    generator = np.random.default_rng(seed)
    for number in range(kills):
        with house.worker() as process:
            house.send(arrivals[number * 500 : (number + 1) * 500])
            time.sleep(generator.uniform(2.5, 6))
            process.kill()
    return house.finish()


def test_killed_at_random_moments_under_load(house, arrivals):
    found = random_kills(house, arrivals, kills=3, seed=0)
    assert found.sound, found


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("client", CLIENTS)
def test_killed_twenty_times_in_a_row(house, arrivals, client):
    house.settings = house.with_(kafka_client=client)
    found = random_kills(house, arrivals, kills=20, seed=1)
    assert found.sound, found
