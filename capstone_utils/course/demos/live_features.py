"""A live run: transactions of this moment go through the broker to some work."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from capstone_utils.course.work_directory import claim_topic
from capstone_utils.ingestion.arrays import Array, Floats
from capstone_utils.ingestion.broker.broker import Broker
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.simulator import Simulation
from capstone_utils.ingestion.streaming.producer import produce
from capstone_utils.ingestion.streaming.reader import TransactionReader
from capstone_utils.ingestion.streaming.topics import recreate_topic
from capstone_utils.transaction import Transaction

TOPIC = "transactions.fresh"
GRACE_SECONDS = 10.0  # the rest may arrive so long after the last transaction


@dataclass(frozen=True)
class LiveRun:
    """The result of a live run.

    An age counts from a transaction's event time to the end of its work.
    """

    age_seconds: Array  # shape (transactions,)
    per_second: list[int]  # transactions done, by second since the first; the last second is not a full one
    left_unread: int
    moments: Floats | None = None  # made, picked up, ready: epoch seconds, shape (3, transactions)


def run_live(
    broker: Broker, stream: Simulation, work: Callable[[list[Transaction]], object], rate_per_second: int, seconds: int
) -> LiveRun:
    """Send transactions of this moment at a steady rate; call `work` with each batch."""
    total = rate_per_second * seconds
    claim_topic(broker.settings, TOPIC)
    recreate_topic(broker.bootstrap_servers, TOPIC, broker.settings.partitions)
    moments: list[tuple[float, float, float]] = []
    done: list[tuple[float, int]] = []
    group = f"live-{time.time_ns()}"
    where = broker.bootstrap_servers, TOPIC, group, broker.settings.dead_letter_topic
    with TransactionReader(*where) as reader, ThreadPoolExecutor(1) as background:
        transactions = transactions_now(stream, total)
        sending = background.submit(produce, broker.bootstrap_servers, TOPIC, transactions, rate_per_second)
        for batch in reader.batches(total, seconds + GRACE_SECONDS):
            picked_up = time.time()
            work([received.transaction for received in batch])
            now = time.time()
            done.append((now, len(batch)))
            moments += [(received.transaction.event_time_us / 1_000_000, picked_up, now) for received in batch]
        sending.result()
    counts: Counter[int] = Counter()
    for when, count in done:
        counts[int(when - done[0][0])] += count
    made_at, picked_up_at, ready_at = np.array(moments).T
    per_second = [counts[second] for second in range(max(counts) + 1)]
    ages = ready_at - made_at
    return LiveRun(ages, per_second, total - len(ages), np.array([made_at, picked_up_at, ready_at]))


def transactions_now(stream: Simulation, total: int) -> Iterator[Transaction]:
    """The stream's last `total` transactions, each stamped with the clock when taken."""
    for transaction in transactions_of(stream.transactions.tail(total)):
        yield transaction._replace(event_time_us=time.time_ns() // 1_000)
