"""Payments made now, sent at a rate through the broker, and worked on as they arrive."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from capstone_utils.course.work_directory import claim_topic
from capstone_utils.ingestion.broker.broker import Broker
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.simulator import Simulation
from capstone_utils.ingestion.streaming.producer import produce
from capstone_utils.ingestion.streaming.reader import TransactionReader
from capstone_utils.ingestion.streaming.topics import recreate_topic
from capstone_utils.transaction import Transaction

TOPIC = "transactions.fresh"
GRACE_SECONDS = 10.0  # how long after the last payment the rest may still arrive


@dataclass(frozen=True)
class LiveRun:
    """How a live run went. Ages count from the moment at which a payment was made to when its work was done."""

    age_seconds: np.ndarray  # shape (payments,)
    per_second: list[int]  # payments done, by second since the first; the last second is not a full one
    left_unread: int


def run_live(
    broker: Broker, stream: Simulation, work: Callable[[list[Transaction]], object], rate_per_second: int, seconds: int
) -> LiveRun:
    """Send payments made now at a steady rate and give them to `work`, batch by batch, as a consumer gets them."""
    total = rate_per_second * seconds
    claim_topic(broker.settings, TOPIC)
    recreate_topic(broker.bootstrap_servers, TOPIC, broker.settings.partitions)
    ages: list[float] = []
    done: list[tuple[float, int]] = []
    group = f"live-{time.time_ns()}"
    with TransactionReader(broker.bootstrap_servers, TOPIC, group) as reader, ThreadPoolExecutor(1) as background:
        payments = made_now(stream, total)
        sending = background.submit(produce, broker.bootstrap_servers, TOPIC, payments, rate_per_second)
        for batch in reader.batches(total, seconds + GRACE_SECONDS):
            work([received.transaction for received in batch])
            now = time.time()
            done.append((now, len(batch)))
            ages += [now - received.transaction.event_time_us / 1_000_000 for received in batch]
        sending.result()
    counts: Counter[int] = Counter()
    for when, count in done:
        counts[int(when - done[0][0])] += count
    return LiveRun(np.array(ages), [counts[second] for second in range(max(counts) + 1)], total - len(ages))


def made_now(stream: Simulation, total: int) -> Iterator[Transaction]:
    """The stream's last payments, each stamped with the clock when it is taken."""
    for transaction in transactions_of(stream.transactions.tail(total)):
        yield transaction._replace(event_time_us=time.time_ns() // 1_000)
