"""The seam on kafka-python, which is pure Python: the course's default."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Mapping, Sequence

from kafka import ConsumerRebalanceListener, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError, NoOffsetForPartitionError, OffsetOutOfRangeError

from capstone_utils.ingestion.streaming.clients import Producer, RecordValue, was_fenced
from capstone_utils.ingestion.streaming.consumer import Consumer, UnreadableBatch
from capstone_utils.ingestion.streaming.dead_letters import MAX_BYTES
from capstone_utils.ingestion.streaming.topics import TopicShape
from capstone_utils.serving.worker.client import (
    CLOSE_SECONDS,
    SESSION_SECONDS,
    TAKEN,
    Commit,
    Fenced,
    Lost,
    Output,
    Polled,
    Position,
    locate,
    look,
)

LOG = logging.getLogger(__name__)
COMMITTED_MS = 10_000  # for the broker to say what was committed: it cannot while a transaction is open
CONSUMER = {
    "enable_auto_commit": False,
    "auto_offset_reset": "none",  # where to go on is ours to say
    "isolation_level": "read_committed",
    "session_timeout_ms": 1000 * SESSION_SECONDS,
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

    def __init__(self, bootstrap_servers: str, topic: str, group: str, name: str) -> None:
        self._topic = topic
        self._open = False  # whether a transaction is
        self._broken = False  # whether the producer is
        self._log_id = ""  # of the log whose positions were last told
        self._where, self._name = bootstrap_servers, f"{group}-{name}"
        self.producer = self._open_producer()
        self.consumer = Consumer(bootstrap_servers, group_id=group, group_instance_id=self._name, **CONSUMER)
        self._member = self.consumer.group_metadata()  # who we were when the batch in hand was polled
        self._listener = _Listener()
        self.consumer.subscribe([topic], listener=self._listener)

    def poll(self, seconds: float, most: int) -> Polled:
        try:
            polled = self.consumer.poll(seconds * 1000, max_records=most)
        except (NoOffsetForPartitionError, OffsetOutOfRangeError):
            self._listener.called = True
            polled = {}
        except UnreadableBatch as batch:
            self.hold(batch.partition)
            raise
        except KafkaError as error:
            raise _reason(error) from error
        except Exception as error:  # the client's own fault: begin again from the last commit
            raise Lost(f"kafka-python failed while polling: {error!r}") from error
        # A commit under what we are then would pass when we had been forgotten and the group were empty.
        self._member = self.consumer.group_metadata()
        if self._listener.called or (polled and self._member.generation_id < 0):
            return Polled([], self.rewind())
        return Polled([record for records in polled.values() for record in records])

    def hold(self, partition: int) -> None:
        here = TopicPartition(self._topic, partition)
        if here in self.consumer.assignment():
            self.consumer.pause(here)

    def rewind(self) -> Mapping[int, Position]:
        self._listener.called = False
        try:
            self.consumer.resume(*self.consumer.paused())
            if self._broken:
                self.producer.close(timeout=0)
                self.producer = self._open_producer()
                self._broken = False
            return self._positions(list(self.consumer.assignment()))
        except KafkaError as error:
            raise _reason(error) from error

    def _positions(self, partitions: list[TopicPartition]) -> dict[int, Position]:
        shape = self.look()
        self._log_id = shape.log_id
        begins, ends = self.consumer.beginning_offsets(partitions), self.consumer.end_offsets(partitions)
        positions = {}
        for each in partitions:
            try:
                committed = self.consumer.committed(each, metadata=True, timeout_ms=COMMITTED_MS)
            except KafkaTimeoutError:
                self._broken = True  # by a transaction that never ended: opening the producer anew ends it
                raise
            commit = committed and Commit(committed.offset, committed.metadata or "")
            position = positions[each.partition] = locate(
                self._topic, each.partition, commit, shape, begins[each], ends[each]
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
        offsets = {
            TopicPartition(self._topic, partition): OffsetAndMetadata(end, self._log_id, -1)
            for partition, end in ends.items()
        }
        try:
            self.producer.send_offsets_to_transaction(offsets, self._member)
            self.producer.commit_transaction()
            self._open = False
        except KafkaError as error:
            raise self._lost(error) from error

    def _lost(self, error: KafkaError) -> RuntimeError:
        """The exception to raise, after the transaction was aborted."""
        if was_fenced(error):
            self._open = False
            return _reason(error)
        worse = self._abort()
        return _reason(worse if worse and was_fenced(worse) else error)

    def _abort(self) -> KafkaError | None:
        """Abort the open transaction; the error, where the producer could not."""
        self._open = False
        try:
            self.producer.abort_transaction()
        except KafkaError as error:
            LOG.warning("the producer could not abort, and is of no more use: %r", error)
            self._broken = True
            return error
        return None

    def _open_producer(self) -> Producer:
        producer = Producer(self._where, transactional_id=self._name, value_serializer=RecordValue(), **PRODUCER)
        try:
            producer.init_transactions()  # aborts what an earlier worker of this name left open, and fences it
        except KafkaError as error:
            raise _reason(error) from error
        return producer

    def look(self) -> TopicShape:
        return look(self._where, self._topic)

    def lag(self) -> Mapping[int, int]:
        waiting = {}
        with contextlib.suppress(KafkaError):  # not known now
            for each in self.consumer.assignment():
                end, position = self.consumer.highwater(each), self.consumer.position(each, timeout_ms=0)
                if end is not None and position is not None:
                    waiting[each.partition] = end - position
        return waiting

    def close(self) -> None:
        if self._open:  # a call of kafka-python's that may wait for ever: in a thread that may be left behind
            aborting = threading.Thread(target=self._abort, daemon=True)
            aborting.start()
            aborting.join(CLOSE_SECONDS)
        with contextlib.suppress(KafkaError):  # the group finds out by itself
            self.consumer.close(timeout_ms=CLOSE_SECONDS * 1000)
        with contextlib.suppress(KafkaError):  # what was not committed is lost on purpose
            self.producer.close(timeout=0)


def _reason(error: KafkaError) -> RuntimeError:
    """The exception for an error of the broker's."""
    return Fenced(f"{TAKEN} ({error!r})") if was_fenced(error) else Lost(f"{error!r}")


class _Listener(ConsumerRebalanceListener):
    """Notes that the partitions were shared out anew."""

    def __init__(self) -> None:
        self.called = False

    def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        """Nothing is to do: between two polls nothing is under way."""

    def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        self.called = True
