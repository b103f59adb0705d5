"""A consumer whose steps come in a given order, as a process that can be killed between two of them.

python -m capstone_utils.course.labs.serving.steps '{"steps": ["write", "commit"], "die_after": 3, ...}'
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition

from capstone_utils.ingestion.streaming.clients import Producer

WORDS = ("commit", "write", "begin", "offsets", "end")
BATCH = 50


def run(where: str, source: str, target: str, group: str, steps: Sequence[str], die_after: int) -> None:
    """Take batches through the steps until the end of the topic; die by kill -9 after so many steps (0:
    never)."""
    here = TopicPartition(source, 0)
    how: dict[str, Any] = {"transactional_id": group} if "begin" in steps else {}
    consumer = KafkaConsumer(
        bootstrap_servers=where, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    producer = Producer(where, linger_ms=0, **how)
    if how:
        producer.init_transactions()  # ends what a killed one before had begun
    consumer.assign([here])
    end, taken = consumer.end_offsets([here])[here], 0
    while consumer.position(here) < end:
        records = consumer.poll(1_000, max_records=BATCH).get(here, [])
        actions = _actions(consumer, producer, target, group, here, records)
        for step in steps if records else ():
            actions[step]()
            taken += 1
            if taken == die_after:
                os.kill(os.getpid(), signal.SIGKILL)
    producer.close()
    consumer.close()


def _actions(
    consumer: Any, producer: Producer, target: str, group: str, here: TopicPartition, records: list[Any]
) -> dict[str, Callable[[], object]]:
    """The action of each word on a batch."""

    def write() -> None:
        for sent in [producer.send(target, record.value) for record in records]:
            sent.get(10)

    def offsets() -> None:
        producer.send_offsets_to_transaction({here: OffsetAndMetadata(records[-1].offset + 1, "", -1)}, group)

    actions: tuple[Callable[[], object], ...] = (
        consumer.commit,
        write,
        producer.begin_transaction,
        offsets,
        producer.commit_transaction,
    )
    return dict(zip(WORDS, actions, strict=True))


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
