"""What one notebook leaves for the next, on machines that are slow or in use."""

import time
from dataclasses import replace

import pytest

from capstone_utils.course import materials
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.simulator import SimulatorConfig, simulate
from capstone_utils.ingestion.streaming.producer import produce


@pytest.fixture
def filled(broker, topic, tmp_path):
    """Settings with a topic that holds a small stream, and the stream's payments."""
    payments = list(transactions_of(simulate(SimulatorConfig(customers=200, days=9)).transactions))
    assert len(payments) > 4_000, "several batches"
    produce(broker.bootstrap_servers, topic, payments)
    return replace(broker.settings, transactions_topic=topic, work_dir=tmp_path), payments


def test_a_caller_who_works_longer_than_the_waiting_time_gets_every_payment(broker, filled, monkeypatch):
    monkeypatch.setattr(materials, "READ_SECONDS", 3.0)
    settings, payments = filled
    read = []
    for payment in materials.read_topic(broker, settings, len(payments)):
        read.append(payment)
        if len(read) == 1:
            time.sleep(4)  # not a wait for anything: the slow work itself
    assert sorted(read) == sorted(payments)


def test_payments_that_do_not_come_are_missed_in_a_sentence(broker, filled, monkeypatch):
    monkeypatch.setattr(materials, "READ_SECONDS", 3.0)
    settings, payments = filled
    with pytest.raises(TimeoutError, match=rf"5 payments of the topic {settings.transactions_topic} did not come"):
        list(materials.read_topic(broker, settings, len(payments) + 5))
