"""The worker's loop on a client that is no Kafka: what it keeps when it is told to stop, and what its metrics say."""

import threading
import time
from types import SimpleNamespace

import pytest

from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.streaming.topics import TopicShape
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.worker.client import Lost, Polled, Position
from capstone_utils.serving.worker.metrics import STAGES, WorkerMetrics
from capstone_utils.serving.worker.partition_states import PartitionStates
from capstone_utils.serving.worker.worker import CHUNK_RECORDS, CLASSIFYING, Worker
from capstone_utils.settings import Settings
from capstone_utils.transaction import DAY_SECONDS, DAY_US, InvalidTransaction, Transaction

STREAM = {"door": "stream"}
NOW_MS = time.time_ns() // 1_000_000
SHAPE = TopicShape("id", 1)


class Client:
    """One batch; the broker goes away with the first chunk, and its worker is told to stop."""

    def __init__(self, records):
        self.records, self.stopping, self.well = records, False, False
        self.moved = {0: Position(0, 0)}  # the partition is this member's from the first poll on

    def poll(self, seconds, most):
        moved, self.moved = self.moved, None
        return Polled([], moved) if moved else Polled(self.records)

    def produce(self, outputs):
        self.stopping = True
        if not self.well:
            raise Lost("the broker has gone")

    def commit(self, ends):
        pass

    def rewind(self):
        raise Lost("still gone")

    def look(self):
        return SHAPE

    def lag(self):
        return {0: 7}


@pytest.fixture
def client(stream):
    payments = list(transactions_of(stream.transactions.head(3 * CHUNK_RECORDS)))
    wire = [(payment.key, payment.to_json()) for payment in payments]
    other = payments[-1]._replace(amount_cents=payments[-1].amount_cents + 1)
    wire += [wire[-1], (other.key, other.to_json()), (b"7", b"{")]
    return Client(
        [
            SimpleNamespace(partition=0, offset=offset, timestamp=NOW_MS, key=key, value=value, headers=())
            for offset, (key, value) in enumerate(wire)
        ]
    )


def work(client, models, tmp_path):
    metrics = WorkerMetrics()
    states = PartitionStates("127.0.0.1:1", "payments", SHAPE, tmp_path, metrics, {})
    Worker(Settings(), Classifier(models), states, metrics, 4).run(client, lambda: client.stopping)
    return metrics.registry.get_sample_value


def test_told_to_stop_in_the_middle_of_a_lost_batch_it_keeps_no_snapshot_of_half_of_it(client, models, tmp_path):
    count = work(client, models, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert count("worker_lost_batches_total") == 1
    assert count("prediction_requests_total", STREAM) == 0


def test_told_to_stop_after_a_committed_batch_it_keeps_a_snapshot_and_has_counted(client, models, tmp_path, caplog):
    client.well = True
    count = work(client, models, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["payments-0.snapshot"]
    scored = ("prediction_requests_total", "prediction_latency_seconds_count", "fraud_probability_count")
    assert [count(name, STREAM) for name in scored] == [3 * CHUNK_RECORDS] * 3
    assert count("duplicate_transactions_total", STREAM) == 2
    assert count("conflicting_transactions_total", STREAM) == 1
    assert f"came under ids that others of their users have, and have no score; one at 0:{3 * CHUNK_RECORDS + 1}" in (
        caplog.text
    )
    assert count("worker_dead_letters_total", {"field": "message"}) == 1
    assert count("worker_lag_records", {"partition": "0"}) == 7
    assert all(count("worker_stage_seconds_count", {"stage": stage}) == 1 for stage in STAGES)


def test_a_transaction_takes_from_when_its_record_was_stamped_to_when_its_score_was_committed(client, models, tmp_path):
    client.well = True
    for record in client.records:
        record.timestamp = 1000 * (time.time() - 5)
    count = work(client, models, tmp_path)
    within = [count("prediction_latency_seconds_bucket", STREAM | {"le": le}) for le in ("2.5", "60.0")]
    assert within == [0, 3 * CHUNK_RECORDS]


def test_the_classifying_thread_ends_with_the_run(client, models, tmp_path):
    work(client, models, tmp_path)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(CLASSIFYING)]


def test_the_lag_of_a_partition_that_was_lost_is_said_no_more():
    metrics = WorkerMetrics()
    metrics.waiting({0: 5, 1: 6})
    metrics.waiting({1: 4})
    assert metrics.registry.get_sample_value("worker_lag_records", {"partition": "0"}) is None
    assert metrics.registry.get_sample_value("worker_lag_records", {"partition": "1"}) == 4


@pytest.mark.parametrize("stamp", [-1, 0])
def test_of_a_record_without_a_timestamp_no_latency_is_counted(client, models, tmp_path, stamp):
    client.well = True
    for record in client.records:
        record.timestamp = stamp
    count = work(client, models, tmp_path)
    assert count("prediction_requests_total", STREAM) == 3 * CHUNK_RECORDS
    assert count("worker_unstamped_records_total") == 3 * CHUNK_RECORDS
    assert count("prediction_latency_seconds_sum", STREAM) == 0
    assert count("worker_stage_seconds_sum", {"stage": "queue"}) == 0


def test_a_stamp_of_years_ago_reads_as_a_day_and_no_more(client, models, tmp_path):
    client.well = True
    for record in client.records:
        record.timestamp = 1_000 * (time.time() - 400 * DAY_SECONDS)
        record.value = older(record.value, 500)
    count = work(client, models, tmp_path)
    assert count("prediction_latency_seconds_sum", STREAM) == 3 * CHUNK_RECORDS * DAY_SECONDS
    assert count("worker_stage_seconds_sum", {"stage": "queue"}) == DAY_SECONDS


def older(value, days):
    """The payment so many days before; what is none as it is."""
    try:
        payment = Transaction.from_json(value)
    except InvalidTransaction:
        return value
    return payment._replace(event_time_us=payment.event_time_us - days * DAY_US).to_json()


def test_records_that_compaction_took_out_are_counted(client, models, tmp_path):
    client.well = True
    client.look = lambda: SHAPE._replace(compacted=True)
    del client.records[100:120]
    assert work(client, models, tmp_path)("worker_deleted_unread_total") == 20


def test_a_topic_that_has_other_partitions_by_now_is_looked_at_before_a_record_is_moved(client, models, tmp_path):
    shapes = [SHAPE._replace(partitions=4), SHAPE]  # as it was when the partitions were shared out, and as it is
    client.well = True
    client.look = lambda: shapes.pop(0) if len(shapes) > 1 else shapes[0]
    client.rewind = lambda: {0: Position(0, 0)}
    count = work(client, models, tmp_path)
    assert (count("worker_moved_records_total"), count("prediction_requests_total", STREAM)) == (0, 3 * CHUNK_RECORDS)
