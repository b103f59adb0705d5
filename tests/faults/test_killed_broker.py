"""A broker, its owner or its start is killed: the numbers stay honest, nothing is left behind, the data is kept."""

import os
import signal
import subprocess
import sys

import pytest
from kafka.errors import KafkaError

from capstone_utils.ingestion.broker.broker import Broker, start_broker
from capstone_utils.ingestion.streaming import clients
from capstone_utils.ingestion.streaming import reader as reader_module
from capstone_utils.ingestion.streaming.producer import DeliveryFailed, produce
from capstone_utils.ingestion.streaming.reader import TransactionReader, consume
from capstone_utils.ingestion.streaming.topics import create_topics, end_offsets
from capstone_utils.transaction import Transaction

TOPIC = "transactions"
OWNER = """\
import sys, time
from pathlib import Path
from capstone_utils.ingestion.broker.broker import start_broker
from capstone_utils.settings import Settings
broker = start_broker(Settings(kafka_port=0, work_dir=Path(sys.argv[1]), cache_dir=Path(sys.argv[2])))
print("ready", flush=True)
time.sleep(600)
"""


def payments(count):
    start_us = 1_767_225_600_000_000
    return [
        Transaction(number, number % 50, 100, start_us + number, "NY", "Amazon", "mobile") for number in range(count)
    ]


def own(settings):
    """Another process that starts the broker and keeps it."""
    command = [sys.executable, "-c", OWNER, str(settings.work_dir), str(settings.cache_dir)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def kill(processes):
    (process,) = processes
    process.kill()


def test_killed_while_producing_the_failed_are_counted_and_the_data_is_there_after_a_restart(
    fresh, broker_processes, monkeypatch
):
    monkeypatch.setitem(clients.PRODUCER, "delivery_timeout_ms", 3_000)
    monkeypatch.setitem(clients.PRODUCER, "request_timeout_ms", 2_000)

    def killing():
        for number, payment in enumerate(payments(3_000)):
            if number == 2_000:
                kill(broker_processes(fresh))
            yield payment

    broker = start_broker(fresh)
    create_topics(broker.bootstrap_servers, {TOPIC: 4})
    with pytest.raises(DeliveryFailed, match=rf"of 3000 messages did not reach {TOPIC}: .*Is the broker still") as hit:
        produce(broker.bootstrap_servers, TOPIC, killing(), rate_per_second=1_000)
    report = hit.value.report
    acknowledged = report.sent - report.failed
    assert report.sent == 3_000
    assert 1_000 <= report.failed < 3_000
    assert sum(report.delivered_per_second) == acknowledged
    assert not broker.running()

    with start_broker(fresh) as again:
        assert again.started
        kept = sum(end_offsets(again.bootstrap_servers, TOPIC).values())
        assert acknowledged <= kept <= 2_000
        produce(again.bootstrap_servers, TOPIC, payments(10))
        assert sum(end_offsets(again.bootstrap_servers, TOPIC).values()) == kept + 10


def test_after_a_message_has_failed_none_is_sent(fresh, broker_processes, monkeypatch):
    monkeypatch.setitem(clients.PRODUCER, "delivery_timeout_ms", 3_000)
    monkeypatch.setitem(clients.PRODUCER, "request_timeout_ms", 2_000)
    handed_over = 0

    def killing():
        nonlocal handed_over
        for payment in payments(20_000):
            if handed_over == 500:
                kill(broker_processes(fresh))
            handed_over += 1
            yield payment

    broker = start_broker(fresh)
    create_topics(broker.bootstrap_servers, {TOPIC: 1})
    with pytest.raises(DeliveryFailed) as hit:
        produce(broker.bootstrap_servers, TOPIC, killing(), rate_per_second=500)
    assert handed_over < 20_000
    assert hit.value.report.sent == handed_over - 1


def test_killed_while_consuming_the_reader_ends_and_its_group_reads_everything_after_a_restart(
    fresh, broker_processes, monkeypatch
):
    monkeypatch.setattr(reader_module, "COORDINATOR_TIMEOUT_MS", 2_000)
    with start_broker(fresh) as broker:
        create_topics(broker.bootstrap_servers, {TOPIC: 4})
        produce(broker.bootstrap_servers, TOPIC, payments(100))
        with TransactionReader(broker.bootstrap_servers, TOPIC, "team") as reader:
            batches = reader.batches(max_messages=1_000, deadline_seconds=60)
            next(batches)
            kill(broker_processes(fresh))  # while the batch is in hand, before it is committed
            with pytest.raises(KafkaError):
                next(batches)
    with start_broker(fresh) as again:
        # The group still counts on the member that could not say good-bye, until its session has run out.
        assert len(consume(again.bootstrap_servers, TOPIC, "team", 100, deadline_seconds=30)) == 100


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_owner_that_ends_takes_its_broker_along_and_the_next_start_waits_for_that(fresh, broker_processes, number):
    with own(fresh) as owner:
        assert owner.stdout.readline() == "ready\n"
        (java,) = broker_processes(fresh)
        os.kill(owner.pid, number)
        owner.wait(30)
    with start_broker(fresh) as broker:
        assert broker.started
        assert not java.is_running()
    assert broker_processes(fresh) == []


def test_an_interrupted_start_leaves_no_broker_behind(fresh, broker_processes, wait_until):
    with own(fresh) as owner:
        wait_until((Broker.directory_in(fresh) / "state.json").exists)
        os.kill(owner.pid, signal.SIGINT)
        assert owner.stdout.readline() == ""
        assert owner.wait(30) != 0
    wait_until(lambda: broker_processes(fresh) == [])
