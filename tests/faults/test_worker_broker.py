"""The broker dies or falls silent under the worker: it goes on where the last commit was."""

import signal
import threading

import pytest

from capstone_utils.ingestion.broker.broker import start_broker
from tests.faults.house import House

CLIENTS = ("kafka-python", "confluent")


@pytest.mark.parametrize("client", CLIENTS)
def test_the_broker_is_killed_and_restarted_under_load(fresh, work_dir, tmp_path, arrivals, broker_processes, client):
    with start_broker(fresh) as broker:
        fixed = broker.settings  # the same port again
        house = House(fixed, work_dir, tmp_path)
        house.settings = house.with_(kafka_client=client)
        sending = threading.Thread(target=house.send, args=(arrivals[:4000], 400))
        with house.worker():
            house.wait(lambda: house.started() == 1)
            sending.start()
            house.wait(lambda: house.behind() < 4000)
            (java,) = broker_processes(fresh)
            java.kill()
            java.wait(30)
            with start_broker(fixed):
                sending.join()
                house.wait_until_done()
                found = house.finish()
    assert found.sound, found


@pytest.mark.soak
@pytest.mark.parametrize("client", CLIENTS)
def test_the_broker_is_away_for_longer_than_any_timeout(fresh, work_dir, tmp_path, arrivals, broker_processes, client):
    with start_broker(fresh) as broker:
        house = House(broker.settings, work_dir, tmp_path)
        house.settings = house.with_(kafka_client=client)
        house.send(arrivals[:8000])
        with house.worker() as one, house.worker(house.with_(worker_name="2")) as two:
            house.wait(lambda: house.started() == 2)
            (java,) = broker_processes(fresh)
            java.kill()
            java.wait(30)
            threading.Event().wait(120)
            assert (one.poll(), two.poll()) == (None, None), house.logged()[-3000:]
            with start_broker(broker.settings):
                house.wait_until_done()
                found = house.settled_audit()
    assert found.sound, found


def silent(fresh, work_dir, tmp_path, arrivals, broker_processes, client, seconds):
    with start_broker(fresh) as broker:
        house = House(broker.settings, work_dir, tmp_path)
        house.settings = house.with_(kafka_client=client)
        with house.worker():
            house.wait(lambda: house.started() == 1)
            house.send(arrivals[:2000])
            (java,) = broker_processes(fresh)
            java.suspend()
            threading.Event().wait(seconds)
            java.send_signal(signal.SIGCONT)
            house.send(arrivals[2000:3000])
            house.wait_until_done()
            found = house.finish()
    return found


@pytest.mark.parametrize("client", CLIENTS)
def test_the_broker_stops_for_a_while(fresh, work_dir, tmp_path, arrivals, broker_processes, client):
    found = silent(fresh, work_dir, tmp_path, arrivals, broker_processes, client, 5)
    assert found.sound, found


@pytest.mark.soak
@pytest.mark.parametrize("client", CLIENTS)
def test_the_broker_stops_for_thirty_seconds(fresh, work_dir, tmp_path, arrivals, broker_processes, client):
    found = silent(fresh, work_dir, tmp_path, arrivals, broker_processes, client, 30)
    assert found.sound, found
