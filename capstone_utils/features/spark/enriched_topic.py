"""Enriched messages: a transaction with its features and its source, as JSON.

A message that was written twice counts once when read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import orjson
import pandas as pd
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from capstone_utils.features.spec import SPEC, FeatureSpec
from capstone_utils.ingestion.streaming.topics import end_offsets
from capstone_utils.transaction import Transaction

SOURCE = ("source_partition", "source_offset")
POLL_MS = 500


class InvalidEnrichedMessage(ValueError):
    """A message with features of another spec; says where it lies."""


def enriched_message(
    transaction: Transaction, features: Sequence[float], spec: FeatureSpec, partition: int, offset: int
) -> bytes:
    """The JSON of the transaction, its features, source and spec hash.

    A missing feature is null.
    """
    source = {"source_partition": partition, "source_offset": offset, "spec": spec.hash}
    return orjson.dumps(transaction.to_dict() | dict(zip(spec.names, features, strict=True)) | source)


def read_enriched_topic(
    bootstrap_servers: str, topic: str, spec: FeatureSpec = SPEC, deadline_seconds: float = 60.0
) -> pd.DataFrame:
    """The enriched messages of the topic so far: transaction_id and features (NaN: missing).

    The index is source partition and offset. A job that was stopped and started again may have written a message
    twice: the first one counts.

    Raises:
        InvalidEnrichedMessage: for features of another spec.
        TimeoutError, TopicError, NoBroker: when the time is up, or there is no such topic, no broker.
    """
    columns = ("transaction_id", *spec.names)
    rows: dict[tuple[int, int], tuple[object, ...]] = {}
    for record in records_now(bootstrap_servers, topic, deadline_seconds):
        message = orjson.loads(record.value)
        if message["spec"] != spec.hash:
            raise InvalidEnrichedMessage(
                f"{topic}, partition {record.partition}, offset {record.offset}: features of spec "
                f"{message['spec'][:12]}, not of {spec.hash[:12]}; read it with the spec that made it"
            )
        source = message["source_partition"], message["source_offset"]
        rows.setdefault(source, tuple(message[name] for name in columns))
    index = pd.MultiIndex.from_tuples(rows, names=SOURCE) if rows else None
    frame = pd.DataFrame(rows.values(), index=index, columns=columns)
    return frame.astype(dict.fromkeys(spec.names, float)).sort_index()


def records_now(bootstrap_servers: str, topic: str, deadline_seconds: float = 60.0) -> Iterator[ConsumerRecord]:
    """Every record that the topic holds now, each partition's in order.

    Raises:
        TimeoutError, TopicError, NoBroker: when the time is up, or there is no such topic, no broker.
    """
    deadline = time.monotonic() + deadline_seconds
    ends = {TopicPartition(topic, number): end for number, end in end_offsets(bootstrap_servers, topic).items()}
    with KafkaConsumer(bootstrap_servers=bootstrap_servers, enable_auto_commit=False) as consumer:
        consumer.assign(list(ends))
        consumer.seek_to_beginning()
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{topic} was not read to its end within {deadline_seconds:.0f} s")
            for records in consumer.poll(POLL_MS).values():
                yield from records
