"""A batch's records sorted: transactions to score, records on another partition than their user's, dead letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from capstone_utils.ingestion.streaming.dead_letters import dead_letter_headers, own_headers, source_headers
from capstone_utils.ingestion.streaming.topics import partition_of
from capstone_utils.serving.worker.client import Output, Record
from capstone_utils.settings import Settings
from capstone_utils.transaction import InvalidTransaction, Transaction


class Parsed(NamedTuple):
    """A batch's transactions, and what goes elsewhere: dead letters by wrong field, records that were moved."""

    readable: list[tuple[Record, Transaction]]
    outputs: list[Output]
    wrong: Counter[str]
    moved: list[Record]


def parse(records: Sequence[Record], settings: Settings, partitions: int) -> Parsed:
    """Sort the records of the topic `transactions`, which has so many partitions.

    One that its producer put on another partition than its key's goes there now, with its own headers and its source:
    beside its user's other transactions it is scored, and where it lay it is not.
    """
    parsed = Parsed([], [], Counter(), [])
    topic, dead_letters, read = settings.transactions_topic, settings.dead_letter_topic, Transaction.from_record
    for record in records:
        try:
            transaction = read(record.key, record.value, record.timestamp)
        except InvalidTransaction as reason:
            parsed.wrong[reason.field] += 1
            headers = dead_letter_headers(record.headers, topic, record.partition, record.offset, reason)
            parsed.outputs.append(Output(dead_letters, 0, record.key, record.value, headers))
            continue
        own = partition_of(transaction.key, partitions)
        if own == record.partition:
            parsed.readable.append((record, transaction))
        else:
            headers = [*own_headers(record.headers), *source_headers(topic, record.partition, record.offset)]
            parsed.outputs.append(Output(topic, own, record.key, record.value, headers))
            parsed.moved.append(record)
    return parsed
