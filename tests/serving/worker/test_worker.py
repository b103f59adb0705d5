"""The worker's loop on a client that is no Kafka: what it keeps when it is told to stop, and what its metrics say."""

from types import SimpleNamespace

import pytest

from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.worker.client import Lost, Position
from capstone_utils.serving.worker.metrics import WorkerMetrics
from capstone_utils.serving.worker.partition_states import PartitionStates
from capstone_utils.serving.worker.worker import CHUNK_RECORDS, Worker
from capstone_utils.settings import Settings


class Client:
    """One batch; the broker goes away with the first chunk, and its worker is told to stop."""

    def __init__(self, records):
        self.records, self.stopping, self.well = records, False, False

    def poll(self, seconds, most):
        return self.records

    def produce(self, outputs):
        self.stopping = True
        if not self.well:
            raise Lost("the broker has gone")

    def commit(self, ends):
        pass

    def rewind(self):
        raise Lost("still gone")

    def lag(self):
        return {0: 7}


@pytest.fixture
def client(stream):
    payments = list(transactions_of(stream.transactions.head(3 * CHUNK_RECORDS)))
    wire = [(payment.key, payment.to_json()) for payment in payments] + [(b"7", b"{")]
    return Client(
        [
            SimpleNamespace(partition=0, offset=offset, timestamp=0, key=key, value=value, headers=())
            for offset, (key, value) in enumerate(wire)
        ]
    )


def work(client, models, tmp_path):
    metrics = WorkerMetrics()
    states = PartitionStates("127.0.0.1:1", "payments", "id", tmp_path, metrics, {})
    states.follow({0: Position(0, 0)})
    Worker(Settings(), Classifier(models), states, metrics, 4).run(client, lambda: client.stopping)
    return metrics


def test_told_to_stop_in_the_middle_of_a_lost_batch_it_keeps_no_snapshot_of_half_of_it(client, models, tmp_path):
    metrics = work(client, models, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert metrics.registry.get_sample_value("worker_lost_transactions_total") == 1
    assert metrics.registry.get_sample_value("worker_consumed_total") == 0


def test_told_to_stop_after_a_committed_batch_it_keeps_a_snapshot_and_has_counted(client, models, tmp_path):
    client.well = True
    metrics = work(client, models, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["payments-0.snapshot"]
    count = metrics.registry.get_sample_value
    assert count("worker_consumed_total") == count("worker_scored_total") + count("worker_duplicates_total") + 1
    assert count("worker_scored_total") == 3 * CHUNK_RECORDS
    assert count("worker_dead_letters_total", {"field": "message"}) == 1
    assert count("worker_lag", {"partition": "0"}) == 7
    assert count("worker_batch_records_count") == count("worker_latency_seconds_count") == 1
    stages = ("queue", "parse", "features", "score", "produce", "commit", "snapshot")
    assert all(count("worker_stage_seconds_count", {"stage": stage}) == 1 for stage in stages)


def test_the_lag_of_a_partition_that_was_lost_is_said_no_more():
    metrics = WorkerMetrics()
    metrics.waiting({0: 5, 1: 6})
    metrics.waiting({1: 4})
    assert metrics.registry.get_sample_value("worker_lag", {"partition": "0"}) is None
    assert metrics.registry.get_sample_value("worker_lag", {"partition": "1"}) == 4
