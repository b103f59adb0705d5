"""Streaming features on Spark: one query, users' states in its checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

import pandas as pd
from pyspark import Broadcast
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.streaming.state import GroupState, GroupStateTimeout

from capstone_utils.features.daily_tables import DailyTable
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.spark.batch import check_keys
from capstone_utils.features.spark.enriched_topic import enriched_message
from capstone_utils.features.spec import SPEC, FeatureSpec
from capstone_utils.ingestion.streaming.dead_letters import MAX_BYTES, dead_letter_headers, ensure_dead_letter_topic
from capstone_utils.ingestion.streaming.topics import describe_topic, ensure_topic
from capstone_utils.settings import Settings
from capstone_utils.transaction import InvalidTransaction, Transaction


class Record(NamedTuple):
    """A message as Spark's Kafka source brings it."""

    key: bytes | None
    value: bytes | None
    timestamp: int  # epoch milliseconds
    headers: Iterable[dict[str, object]] | None
    partition: int
    offset: int


COLUMNS = [f"unix_millis({name}) AS {name}" if name == "timestamp" else name for name in Record._fields]
WRITTEN = {"topic": "string", "key": "binary", "value": "binary", "headers": "array<struct<key:string,value:binary>>"}


@dataclass(frozen=True)
class StreamJob:
    """The settings of a stream of features: its topics and its checkpoint.

    The checkpoint holds the progress and the state.
    """

    bootstrap_servers: str
    checkpoint: str  # a directory that outlives the machine it runs on, and is this job's alone
    transactions_topic: str = Settings.transactions_topic
    enriched_topic: str = "transactions.enriched"
    dead_letter_topic: str = Settings.dead_letter_topic
    batch_messages: int = 100_000  # at most so many in one micro-batch


def start_stream(
    spark: SparkSession,
    job: StreamJob,
    spec: FeatureSpec = SPEC,
    daily: Mapping[str, DailyTable] | None = None,
    until_now: bool = False,
) -> StreamingQuery:
    """The running query, which goes on from its checkpoint; without one, from the topic's first message.

    A transaction becomes one enriched message, a duplicate none, an unreadable message one dead letter. After a crash
    the last micro-batch is done again and written again, with equal content: `read_enriched_topic` counts it once.
    With `until_now` the query ends when it has read what is in the topic now.

    Raises:
        InvalidSpec: for a window over another key than the user.
        TopicError, NoBroker: when there is no topic to read, no broker.
    """
    check_keys(spec)
    _ensure_topics(job)
    kafka = {"kafka.bootstrap.servers": job.bootstrap_servers}
    source = kafka | {
        "subscribe": job.transactions_topic,
        "startingOffsets": "earliest",
        "includeHeaders": "true",
        "kafka.isolation.level": "read_committed",
        "maxOffsetsPerTrigger": str(job.batch_messages),
    }
    sink = kafka | {"checkpointLocation": job.checkpoint, "kafka.max.request.size": str(MAX_BYTES)}
    tables = spark.sparkContext.broadcast(dict(daily or {}))
    records = spark.readStream.format("kafka").options(**source).load().selectExpr(*COLUMNS)
    # A transaction's key is its user. Grouped by key, whatever is unreadable passes through the same place, too.
    written = records.groupBy("key").applyInPandasWithState(
        UpdateUser(job, spec, tables),
        outputStructType=", ".join(f"{name} {kind}" for name, kind in WRITTEN.items()),
        stateStructType="user binary",
        outputMode="update",
        timeoutConf=GroupStateTimeout.NoTimeout,
    )
    writer = written.writeStream.format("kafka").outputMode("update").options(**sink)
    return (writer.trigger(availableNow=True) if until_now else writer).start()


def _ensure_topics(job: StreamJob) -> None:
    partitions = len(describe_topic(job.bootstrap_servers, job.transactions_topic))
    ensure_topic(job.bootstrap_servers, job.enriched_topic, partitions)
    ensure_dead_letter_topic(job.bootstrap_servers, job.dead_letter_topic)


class UpdateUser:
    """The work of a Python worker on the messages of one key in a micro-batch."""

    def __init__(self, job: StreamJob, spec: FeatureSpec, daily: Broadcast[dict[str, DailyTable]]) -> None:
        self._job, self._spec, self._daily = job, spec, daily
        self._online: OnlineFeatures | None = None  # made in the worker

    def __call__(self, key: tuple[Any], frames: Iterable[pd.DataFrame], state: GroupState) -> Iterator[pd.DataFrame]:
        online = self._online = self._online or OnlineFeatures(self._spec, self._daily.value)
        online.users.clear()
        if state.exists:
            online.user_from_bytes(int(key[0]), state.get[0])
        records = [Record._make(row) for frame in frames for row in frame.to_numpy(object).tolist()]
        written = []
        # A user's transactions arrived in the order of their partition; Spark's shuffle promises none.
        for record in sorted(records, key=attrgetter("partition", "offset")):
            try:
                transaction = Transaction.from_record(record.key, record.value, record.timestamp)
            except InvalidTransaction as reason:
                written.append(self._dead_letter(record, reason))
                continue
            features = online.update(transaction)
            if features is not None:
                message = enriched_message(transaction, features, self._spec, record.partition, record.offset)
                written.append((self._job.enriched_topic, record.key, message, None))
        if online.users:
            state.update((online.user_to_bytes(int(key[0])),))
        yield pd.DataFrame(written, columns=list(WRITTEN))

    def _dead_letter(self, record: Record, reason: InvalidTransaction) -> tuple[object, ...]:
        added = dead_letter_headers((), self._job.transactions_topic, record.partition, record.offset, reason)
        headers = [*(() if record.headers is None else record.headers), *({"key": k, "value": v} for k, v in added)]
        return self._job.dead_letter_topic, record.key, record.value, headers
