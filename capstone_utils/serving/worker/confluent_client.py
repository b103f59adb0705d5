"""The seam on confluent-kafka, which wraps the C library librdkafka: an optional extra for those who need its speed."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from capstone_utils.ingestion.streaming.connection import librdkafka
from capstone_utils.ingestion.streaming.consumer import UnreadableBatch, given_up_offsets, pass_over
from capstone_utils.ingestion.streaming.dead_letters import MAX_BYTES
from capstone_utils.ingestion.streaming.topics import TopicShape
from capstone_utils.serving.worker.client import (
    CLOSE_SECONDS,
    SESSION_SECONDS,
    TAKEN,
    Commit,
    Fenced,
    Headers,
    Lost,
    Output,
    Polled,
    Position,
    Record,
    locate,
    look,
)

LOG = logging.getLogger(__name__)
SECONDS = 30.0  # for what the broker must answer, called again included
CALL_SECONDS = 5.0  # then it is called again: a signal is heard in between
DELIVERY_SECONDS = 1.0  # then it is looked again whether the producer has room
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
    "check.crcs": True,  # a damaged batch is told, as kafka-python tells it
    "session.timeout.ms": 1000 * SESSION_SECONDS,
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

    def __init__(self, bootstrap_servers: str, topic: str, group: str, name: str) -> None:
        self._where, self._topic = bootstrap_servers, topic
        self._log_id = ""  # of the log whose positions were last told
        self._open = False  # whether a transaction is
        self._broken = False  # whether the producer is
        self._shared_out = False  # whether the partitions were, since the last rewind
        self._held: set[int] = set()  # the partitions of which nothing is handed out, until the next rewind
        self._unreadable: list[UnreadableBatch] = []  # to be told at the next polls
        self._given_up = given_up_offsets()
        common = {**librdkafka(bootstrap_servers), "error_cb": _note, "logger": LOG}
        self._producing = {**common, "transactional.id": f"{group}-{name}", **PRODUCER}
        self.producer = self._open_producer()
        self.consumer = Consumer({**common, "group.id": group, "group.instance.id": f"{group}-{name}", **CONSUMER})
        self._member = self.consumer.consumer_group_metadata()  # who we were when the batch in hand was polled
        self.consumer.subscribe([topic], on_assign=self._assigned)

    def poll(self, seconds: float, most: int) -> Polled:
        if self._unreadable:
            raise self._unreadable.pop()
        try:
            first = self.consumer.poll(seconds)
            self._member = self.consumer.consumer_group_metadata()
            rest = self.consumer.consume(most - 1, 0) if first else []  # what is here already, without waiting for more
            records = self._readable([first, *rest]) if first else []
        except KafkaException as error:
            raise _reason(error.args[0]) from error
        if self._shared_out or records is None:  # perhaps the first one read is another member's now
            return Polled([], self.rewind())
        if self._unreadable and not records:
            raise self._unreadable.pop()
        return Polled(records)

    def _readable(self, messages: Sequence[Message]) -> list[Record] | None:
        """The records among the messages; None when reading has to go on elsewhere."""
        records: list[Record] = []
        left: set[int | None] = {*self._held}  # partitions of which nothing more is handed out
        for message in messages:
            reason = message.error()
            if message.partition() in left:
                continue
            if reason is None:
                records.append(_record(message))
            elif reason.code() in ELSEWHERE:
                return None
            elif reason.code() in (KafkaError._FATAL, *FENCED):
                raise Fenced(f"{TAKEN} ({reason.str()})")
            elif (offset := message.offset()) is not None and offset >= 0:
                left.add(message.partition())  # librdkafka may go on anywhere behind it
                self._cannot_unpack(message.partition() or 0, offset, reason)
            else:
                LOG.warning("%s", reason.str())
        return records

    def _cannot_unpack(self, partition: int, offset: int, reason: KafkaError) -> None:
        """Go on behind the batch, if it was given up; else hold the partition, and tell it at the next poll."""
        batch = UnreadableBatch(self._topic, partition, offset, reason.str())
        try:
            behind = pass_over(self._given_up, batch)
        except UnreadableBatch:
            self._unreadable.append(batch)
            self.hold(partition)
        else:
            self.consumer.seek(TopicPartition(self._topic, partition, behind))

    def hold(self, partition: int) -> None:
        self._held.add(partition)
        with contextlib.suppress(KafkaException):  # it is not ours any more
            self.consumer.pause([TopicPartition(self._topic, partition)])

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._shared_out = True  # librdkafka assigns them, and `rewind` says where reading goes on

    def rewind(self) -> Mapping[int, Position]:
        self._shared_out, held = False, list(self._held)
        self._held.clear()
        self._unreadable.clear()
        try:
            if self._broken:
                self.producer = self._open_producer()
                self._broken = False
            positions = self._positions(self.consumer.assignment())
            if positions:  # not `seek`, which works only once a partition is being read
                self.consumer.assign([TopicPartition(self._topic, each, at.offset) for each, at in positions.items()])
                self.consumer.resume([TopicPartition(self._topic, each) for each in held if each in positions])
        except KafkaException as error:
            raise _reason(error.args[0]) from error
        return positions

    def _positions(self, partitions: list[TopicPartition]) -> dict[int, Position]:
        shape = self.look()
        self._log_id = shape.log_id
        committed = self.consumer.committed(partitions, timeout=SECONDS) if partitions else []
        positions = {}
        for each in committed:
            begin, end = self.consumer.get_watermark_offsets(each, timeout=SECONDS)
            commit = Commit(each.offset, each.metadata or "") if each.offset >= 0 else None
            positions[each.partition] = locate(self._topic, each.partition, commit, shape, begin, end)
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
                self._transact(produce, topic, value, key, partition, headers=headers)

    def commit(self, ends: Mapping[int, int]) -> None:
        offsets = [TopicPartition(self._topic, partition, end, self._log_id) for partition, end in ends.items()]
        self._transact(self.producer.send_offsets_to_transaction, offsets, self._member, CALL_SECONDS)
        self._transact(self.producer.commit_transaction, CALL_SECONDS)
        self._open = False

    def _transact(self, call: Callable[..., None], *arguments: Any, **named: Any) -> None:
        """Call until it succeeds, cannot, or did not for `SECONDS`: then the transaction is aborted."""
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                return call(*arguments, **named)
            except BufferError as error:
                if time.monotonic() > deadline:
                    raise self._lost(KafkaError(KafkaError._QUEUE_FULL)) from error
                self.producer.poll(DELIVERY_SECONDS)  # until some of it was delivered
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > deadline:
                    raise self._lost(error.args[0]) from error
                LOG.info("trying again: %s", error)

    def _lost(self, error: KafkaError) -> RuntimeError:
        """The exception to raise, after the transaction was aborted."""
        if error.code() in FENCED:
            self._open = False
            return _reason(error)
        worse = self._abort(SECONDS)
        return _reason(worse if worse and worse.code() in FENCED else error)

    def _abort(self, seconds: float) -> KafkaError | None:
        """Abort the open transaction; the error, where the producer could not in time."""
        self._open = False
        try:
            self.producer.abort_transaction(seconds)
        except KafkaException as error:
            LOG.warning("the producer could not abort, and is of no more use: %s", error)
            self._broken = True
            reason: KafkaError = error.args[0]
            return reason
        return None

    def _open_producer(self) -> Producer:
        producer = Producer(self._producing)
        try:
            producer.init_transactions(SECONDS)  # aborts what an earlier worker of this name left open, and fences it
        except KafkaException as error:
            raise _reason(error.args[0]) from error
        return producer

    def look(self) -> TopicShape:
        return look(self._where, self._topic)

    def lag(self) -> Mapping[int, int]:
        waiting = {}
        with contextlib.suppress(KafkaException):  # not known now
            for each in self.consumer.position(self.consumer.assignment()):
                marks = self.consumer.get_watermark_offsets(each, cached=True)
                if marks and each.offset >= 0 and marks[1] >= 0:
                    waiting[each.partition] = marks[1] - each.offset
        return waiting

    def close(self) -> None:
        if self._open:
            self._abort(CLOSE_SECONDS)
        # Not `consumer.close()`, which waits for ever on `_assigned` when partitions were shared out meanwhile
        # (librdkafka's issue 4884). A member with a name of its own does not tell the group that it leaves anyway.
        del self.consumer


def _record(message: Message) -> ConfluentRecord:
    _, timestamp = message.timestamp()
    place = message.partition(), message.offset()
    return ConfluentRecord(*place, timestamp, message.key(), message.value(), message.headers() or ())  # type: ignore[arg-type]


def _reason(error: KafkaError) -> RuntimeError:
    """The exception for an error of the broker's."""
    return Fenced(f"{TAKEN} ({error.str()})") if error.code() in FENCED else Lost(error.str())


def _note(error: KafkaError) -> None:
    LOG.warning("%s", error.str())
