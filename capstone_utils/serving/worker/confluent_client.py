"""The seam on confluent-kafka, which wraps the C library librdkafka: an optional extra for those who need its speed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from capstone_utils.ingestion.streaming.dead_letters import MAX_BYTES
from capstone_utils.serving.worker.client import TAKEN, Fenced, Headers, Lost, Moved, Output, Position, locate

LOG = logging.getLogger(__name__)
SECONDS = 30.0  # for what the broker must answer
CALL_SECONDS = 5.0  # then it is called again: a signal is heard in between
FENCED = {
    KafkaError._FENCED,
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.FENCED_INSTANCE_ID,
}
ELSEWHERE = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._NO_OFFSET}
CONSUMER: dict[str, Any] = {
    "enable.auto.commit": False,
    "auto.offset.reset": "error",  # where to go on is ours to say
    "isolation.level": "read_committed",
    "session.timeout.ms": 10_000,
    "heartbeat.interval.ms": 3_000,
    "topic.metadata.refresh.interval.ms": 10_000,  # partitions that are added are seen after so long
    "queued.max.messages.kbytes": 16_384,  # what may wait in this process
    "partition.assignment.strategy": "range,roundrobin",
}
PRODUCER: dict[str, Any] = {
    "linger.ms": 5,
    "batch.size": 1_000_000,
    "queue.buffering.max.messages": 100_000,
    "message.max.bytes": MAX_BYTES,
    "retry.backoff.ms": 5,
    "transaction.timeout.ms": 30_000,
}


class ConfluentRecord(NamedTuple):
    """A `Record`."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class ConfluentClient:
    """A `Client`."""

    def __init__(self, bootstrap_servers: str, topic: str, group: str, name: str, moved: Moved) -> None:
        self._topic, self._moved = topic, moved
        self._open = False  # whether a transaction is
        self._broken = False  # whether the producer is
        self._shared_out = False  # whether the partitions were, since the first record of a batch was read
        common = {"bootstrap.servers": bootstrap_servers, "error_cb": _note, "logger": LOG}
        self._producing = {**common, "transactional.id": f"{group}-{name}", **PRODUCER}
        self.producer = self._open_producer()
        self.consumer = Consumer({**common, "group.id": group, "group.instance.id": f"{group}-{name}", **CONSUMER})
        self._error: Exception | None = None  # of a callback, which cannot raise itself
        self._member = self.consumer.consumer_group_metadata()  # who we were when the batch in hand was polled
        self.consumer.subscribe([topic], on_assign=self._assigned)

    def poll(self, seconds: float, most: int) -> Sequence[ConfluentRecord]:
        first = self.consumer.poll(seconds)
        self._raise_error()
        self._member = self.consumer.consumer_group_metadata()
        if first is None:
            return []
        records = []
        self._shared_out = False
        for message in [first, *self.consumer.consume(most - 1, 0)]:  # what is here already, without waiting for more
            error = message.error()
            if error is None:
                records.append(_record(message))
            elif error.code() in ELSEWHERE:
                self.rewind()
                return []
            elif error.code() in (KafkaError._FATAL, *FENCED):
                raise Fenced(f"{TAKEN} ({error.str()})")
            else:
                LOG.warning("%s", error.str())
        self._raise_error()
        if self._shared_out:  # after the first one was read: it may be another member's now
            self.rewind()
            return []
        return records

    def _raise_error(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._shared_out = True
        try:
            positions = self._positions(partitions)
            offsets = [TopicPartition(self._topic, part, position.offset) for part, position in positions.items()]
            consumer.assign(offsets)
            self._moved(positions)
        except KafkaException as error:
            self._error = Lost(str(error))
        except Exception as error:
            self._error = error

    def rewind(self) -> None:
        try:
            if self._broken:
                self.producer = self._open_producer()
                self._broken = False
            positions = self._positions(self.consumer.assignment())
            for partition, position in positions.items():
                self.consumer.seek(TopicPartition(self._topic, partition, position.offset))
        except KafkaException as error:
            raise Lost(str(error)) from error
        self._moved(positions)

    def _positions(self, partitions: list[TopicPartition]) -> dict[int, Position]:
        committed = self.consumer.committed(partitions, timeout=SECONDS) if partitions else []
        positions = {}
        for each in committed:
            begin, end = self.consumer.get_watermark_offsets(each, timeout=SECONDS)
            offset = each.offset if each.offset >= 0 else None
            positions[each.partition] = locate(self._topic, each.partition, offset, begin, end)
        return positions

    def produce(self, outputs: Sequence[Output]) -> None:
        if not self._open:
            self._transact(self.producer.begin_transaction)
            self._open = True
        produce = self.producer.produce
        for topic, partition, key, value, headers in outputs:
            try:
                produce(topic, value, key, partition, headers=headers)  # type: ignore[arg-type]
            except BufferError:
                self.producer.poll(SECONDS)  # until some of it was delivered
                self._transact(produce, topic, value, key, partition, headers=headers)

    def commit(self, ends: Mapping[int, int]) -> None:
        offsets = [TopicPartition(self._topic, partition, end) for partition, end in ends.items()]
        self._transact(self.producer.send_offsets_to_transaction, offsets, self._member, CALL_SECONDS)
        self._transact(self.producer.commit_transaction, CALL_SECONDS)
        self._open = False

    def _transact(self, call: Callable[..., None], *arguments: Any, **named: Any) -> None:
        """Call until it succeeds or cannot: then the transaction is aborted."""
        while True:
            try:
                return call(*arguments, **named)
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise self._lost(error.args[0]) from error
                LOG.info("trying again: %s", error)

    def _lost(self, error: KafkaError) -> RuntimeError:
        """What to raise, after the transaction was aborted."""
        self._open = False
        if error.code() in FENCED:
            return Fenced(f"{TAKEN} ({error.str()})")
        try:
            if error.fatal():
                raise KafkaException(error)
            self.producer.abort_transaction()
        except KafkaException as worse:
            LOG.warning("the producer will be opened anew, since it could not abort: %s", worse)
            self._broken = True
            if worse.args[0].code() in FENCED:
                return Fenced(f"{TAKEN} ({worse})")
        return Lost(error.str())

    def _open_producer(self) -> Producer:
        producer = Producer(self._producing)
        producer.init_transactions()  # aborts what an earlier worker of this name left open, and fences it
        return producer

    def lag(self) -> Mapping[int, int]:
        waiting = {}
        for each in self.consumer.position(self.consumer.assignment()):
            marks = self.consumer.get_watermark_offsets(each, cached=True)
            if marks and each.offset >= 0 and marks[1] >= 0:
                waiting[each.partition] = marks[1] - each.offset
        return waiting

    def close(self) -> None:
        self.consumer.close()


def _record(message: Message) -> ConfluentRecord:
    _, timestamp = message.timestamp()
    place = message.partition(), message.offset()
    return ConfluentRecord(*place, timestamp, message.key(), message.value(), message.headers() or ())  # type: ignore[arg-type]


def _note(error: KafkaError) -> None:
    LOG.warning("%s", error.str())
