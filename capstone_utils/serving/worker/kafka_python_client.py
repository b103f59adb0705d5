"""The seam on kafka-python, which is pure Python: the course's default."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from capstone_utils.ingestion.streaming.clients import Producer, RecordValue, was_fenced
from capstone_utils.ingestion.streaming.dead_letters import MAX_BYTES
from capstone_utils.serving.worker.client import TAKEN, Fenced, Lost, Moved, Output, Position, Record, locate

LOG = logging.getLogger(__name__)
CLOSE_SECONDS = 10.0
CONSUMER = {
    "enable_auto_commit": False,
    "auto_offset_reset": "none",  # where to go on is ours to say
    "isolation_level": "read_committed",
    "session_timeout_ms": 10_000,
    "heartbeat_interval_ms": 3_000,
    "metadata_max_age_ms": 10_000,  # partitions that are added are seen after so long
}
PRODUCER = {
    "acks": "all",
    "linger_ms": 1_000,  # a commit sends what waits: few requests, each of a full batch
    "batch_size": 4 * 2**20,
    "max_request_size": MAX_BYTES,
    "retry_backoff_ms": 5,  # the last transaction's markers are being written: a matter of milliseconds
    "delivery_timeout_ms": 120_000,
    "transaction_timeout_ms": 30_000,
}


class KafkaPythonClient:
    """A `Client`."""

    def __init__(self, bootstrap_servers: str, topic: str, group: str, name: str, moved: Moved) -> None:
        self._topic, self._moved = topic, moved
        self._open = False  # whether a transaction is
        self._broken = False  # whether the producer is
        self._where, self._name = bootstrap_servers, f"{group}-{name}"
        self.producer = self._open_producer()
        self.consumer = KafkaConsumer(
            bootstrap_servers=bootstrap_servers, group_id=group, group_instance_id=self._name, **CONSUMER
        )
        self._member = self.consumer.group_metadata()  # who we were when the batch in hand was polled
        self._listener = _Listener()
        self.consumer.subscribe([topic], listener=self._listener)

    def poll(self, seconds: float, most: int) -> Sequence[Record]:
        try:
            polled = self.consumer.poll(seconds * 1000, max_records=most)
        except (NoOffsetForPartitionError, OffsetOutOfRangeError):
            self._listener.called = True
            polled = {}
        except KafkaError as error:
            raise _reason(error) from error
        # A commit under what we are then would pass when we had been forgotten and the group were empty.
        self._member = self.consumer.group_metadata()
        if self._listener.called or (polled and self._member.generation_id < 0):
            self.rewind()
            return []
        return [record for records in polled.values() for record in records]

    def rewind(self) -> None:
        self._listener.called = False
        try:
            if self._broken:
                self.producer.close(timeout=0)
                self.producer = self._open_producer()
                self._broken = False
            positions = self._positions(list(self.consumer.assignment()))
        except KafkaError as error:
            raise _reason(error) from error
        self._moved(positions)

    def _positions(self, partitions: list[TopicPartition]) -> dict[int, Position]:
        begins, ends = self.consumer.beginning_offsets(partitions), self.consumer.end_offsets(partitions)
        positions = {}
        for each in partitions:
            committed = self.consumer.committed(each)
            position = positions[each.partition] = locate(
                self._topic, each.partition, committed, begins[each], ends[each]
            )
            self.consumer.seek(each, position.offset)
        return positions

    def produce(self, outputs: Sequence[Output]) -> None:
        try:
            if not self._open:
                self.producer.begin_transaction()
                self._open = True
            for output in outputs:
                self.producer.send(output.topic, output, output.key, output.headers, output.partition)
        except KafkaError as error:
            raise self._lost(error) from error

    def commit(self, ends: Mapping[int, int]) -> None:
        offsets = {TopicPartition(self._topic, part): OffsetAndMetadata(end, "", -1) for part, end in ends.items()}
        try:
            self.producer.send_offsets_to_transaction(offsets, self._member)
            self.producer.commit_transaction()
            self._open = False
        except KafkaError as error:
            raise self._lost(error) from error

    def _lost(self, error: KafkaError) -> RuntimeError:
        """What to raise, after the transaction was aborted."""
        self._open = False
        if was_fenced(error):
            return _reason(error)
        try:
            self.producer.abort_transaction()
        except KafkaError as worse:
            LOG.warning("the producer will be opened anew, since it could not abort: %r", worse)
            self._broken = True
            if was_fenced(worse):
                return _reason(worse)
        return _reason(error)

    def _open_producer(self) -> Producer:
        producer = Producer(self._where, transactional_id=self._name, value_serializer=RecordValue(), **PRODUCER)
        producer.init_transactions()  # aborts what an earlier worker of this name left open, and fences it
        return producer

    def lag(self) -> Mapping[int, int]:
        waiting = {}
        with contextlib.suppress(KafkaError):  # not known now
            for each in self.consumer.assignment():
                end, position = self.consumer.highwater(each), self.consumer.position(each, timeout_ms=0)
                if end is not None and position is not None:
                    waiting[each.partition] = end - position
        return waiting

    def close(self) -> None:
        with contextlib.suppress(KafkaError):
            self.consumer.close(timeout_ms=CLOSE_SECONDS * 1000)
        self.producer.close(timeout=0)


def _reason(error: KafkaError) -> RuntimeError:
    """What to raise for an error of the broker's."""
    return Fenced(f"{TAKEN} ({error!r})") if was_fenced(error) else Lost(f"{error!r}")


class _Listener(ConsumerRebalanceListener):
    """Notes that the partitions were shared out anew."""

    def __init__(self) -> None:
        self.called = False

    def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        """Nothing is to do: between two polls nothing is under way."""

    def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        self.called = True
