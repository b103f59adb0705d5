"""Enriched messages: a transaction with its features and its source, as JSON.

A message that was written twice counts once when read.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import pandas as pd

from capstone_utils.errors import CapstoneError
from capstone_utils.features.spec import SPEC, FeatureSpec
from capstone_utils.ingestion.streaming.partition_log import read_topic
from capstone_utils.transaction import Transaction

SOURCE = ("source_partition", "source_offset")


class InvalidEnrichedMessage(CapstoneError):
    """A message with features of another spec; says where it lies."""


def enriched_message(
    transaction: Transaction, features: Sequence[float], spec: FeatureSpec, partition: int, offset: int
) -> bytes:
    """The JSON of the transaction, its features, source and spec hash.

    A missing feature is null.
    """
    source = {"source_partition": partition, "source_offset": offset, "spec": spec.hash}
    return orjson.dumps(transaction.to_dict() | dict(zip(spec.names, features, strict=True)) | source)


def read_enriched_topic(bootstrap_servers: str, topic: str, spec: FeatureSpec = SPEC) -> pd.DataFrame:
    """The enriched messages of the topic so far: transaction_id and features (NaN: missing).

    The index is source partition and offset. A job that was stopped and started again may have written a message
    twice: the first one counts.

    Raises:
        InvalidEnrichedMessage: for features of another spec.
        TopicError, NoBroker, SilentLog: when there is no such topic, no broker, or records do not come.
    """
    columns = ("transaction_id", *spec.names)
    rows: dict[tuple[int, int], tuple[object, ...]] = {}
    for record in read_topic(bootstrap_servers, topic):
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
