"""Transactions into a topic at a steady rate, or with their labels at the pace of event time: an open loop."""

from __future__ import annotations

import heapq
import time
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import TypeAlias

import numpy as np
from kafka.errors import KafkaError
from kafka.producer.future import RecordMetadata

from capstone_utils.errors import CapstoneError
from capstone_utils.ingestion.labels import Label
from capstone_utils.ingestion.streaming.clients import PRODUCER, Producer
from capstone_utils.ingestion.streaming.topics import describe_topic, ensure_labels_topic
from capstone_utils.settings import Settings
from capstone_utils.transaction import SECOND_US, Transaction

_Timed: TypeAlias = tuple[int, str, Transaction | Label]  # when it happens or becomes known, and its topic
_Message: TypeAlias = tuple[
    str, Transaction | Label, float | None
]  # its topic, and when it is due: seconds from the start


@dataclass(frozen=True)
class ProduceReport:
    """The outcome of `produce`: messages sent and failed, rate and latency."""

    sent: int
    failed: int  # sent, and not acknowledged by the broker
    seconds: float  # from the first message to the last acknowledgement
    delivered_per_second: list[int]  # by the second, from the start, in which the message was handed to the client
    latency_ms: dict[str, float]  # p50, p95, p99, max: from when a message was due to its acknowledgement


class DeliveryFailed(CapstoneError):
    """Messages that did not reach the topic; `report` says how many did."""

    def __init__(self, topic: str, report: ProduceReport, reason: object) -> None:
        self.report = report
        super().__init__(
            f"{report.failed} of {report.sent} messages did not reach {topic}: {reason!r}. "
            "Is the broker still running? Sending them all again is safe: a transaction_id counts once."
        )


def produce(
    bootstrap_servers: str, topic: str, transactions: Iterable[Transaction], rate_per_second: float | None = None
) -> ProduceReport:
    """Send every transaction, keyed by its user, at the given rate or as fast as it goes; the report of it.

    The schedule is open loop: message n is due n / rate seconds after the first, whatever happened to those before,
    and its latency counts from then. So a slow broker shows up as latency instead of as a lower rate.

    Raises:
        ValueError: for a rate that is not above 0.
        TopicError, NoBroker: when there is no such topic, no broker.
        DeliveryFailed: when a message is not acknowledged within 30 s; none is sent after that.
    """
    if rate_per_second is not None and not rate_per_second > 0:
        raise ValueError(f"rate_per_second={rate_per_second} is not above 0; None sends as fast as it goes")
    describe_topic(bootstrap_servers, topic)
    rate = rate_per_second
    messages = ((topic, each, rate and number / rate) for number, each in enumerate(transactions))
    return _send(bootstrap_servers, [topic], messages)


def replay(
    settings: Settings, transactions: Iterable[Transaction], labels: Iterable[Label], speed: float | None = None
) -> ProduceReport:
    """Send transactions, in their order of arrival, and each label when it becomes known; the report of both.

    Makes the topics that are missing. `speed` is how many seconds of event time pass in a second, for both alike; None
    sends as fast as it goes. `labels` are in the order in which they become known.

    Raises:
        ValueError: for a speed that is not above 0.
        NoBroker: when there is no broker.
        DeliveryFailed: as `produce`.
    """
    if speed is not None and not speed > 0:
        raise ValueError(f"speed={speed} is not above 0; None sends as fast as it goes")
    topics = [settings.transactions_topic, settings.labels_topic]
    ensure_labels_topic(settings)
    return _send(settings.bootstrap_servers, topics, _scheduled(settings, transactions, labels, speed))


def _scheduled(
    settings: Settings, transactions: Iterable[Transaction], labels: Iterable[Label], speed: float | None
) -> Iterator[_Message]:
    """Both in one order of time; what arrives late is due with what came before it."""
    arriving: Iterator[_Timed] = ((each.event_time_us, settings.transactions_topic, each) for each in transactions)
    reported: Iterator[_Timed] = ((each.known_at_us, settings.labels_topic, each) for each in labels)
    first = latest = None
    for time_us, topic, each in heapq.merge(arriving, reported, key=itemgetter(0)):
        first = time_us if first is None else first
        latest = max(latest or time_us, time_us)
        yield topic, each, speed and (latest - first) / SECOND_US / speed


def _send(bootstrap_servers: str, topics: Sequence[str], messages: Iterable[_Message]) -> ProduceReport:
    """Send each when it is due."""
    sent, deliveries, reason = 0, _Deliveries(), None
    with Producer(bootstrap_servers) as producer:
        for topic in topics:
            producer.partitions_for(topic)  # the first message must not wait for the connection
        start = time.perf_counter()
        try:
            for topic, message, due_seconds in messages:
                if deliveries.failed:  # kafka-python 3.0.12 sends no more after that, though the broker be back
                    raise deliveries.failed[0]
                due = now = time.perf_counter()
                if due_seconds is not None:
                    due = start + due_seconds
                    if due > now:
                        time.sleep(due - now)
                        now = time.perf_counter()
                sent += 1
                future = producer.send(topic, message.to_json(), key=message.key)
                future.add_callback(partial(deliveries.succeeded, due, int(now - start)))
                future.add_errback(deliveries.failed.append)
            # With idempotence, kafka-python 3.0.12 keeps its delivery timeout only as long as the broker answers.
            producer.flush(PRODUCER["delivery_timeout_ms"] / 1000)
        except KafkaError as error:
            reason = error
            producer.close(timeout=0)  # what it still holds has failed; it must not arrive after this was reported
        seconds = time.perf_counter() - start
    report = deliveries.report(sent, seconds)
    if report.failed:
        raise DeliveryFailed(" and ".join(topics), report, reason or deliveries.failed[0])
    return report


class _Deliveries:
    """Acknowledgements, as the producer's own thread brings them."""

    def __init__(self) -> None:
        self.latencies_seconds = array("d")
        self.per_second: Counter[int] = Counter()
        self.failed: list[BaseException] = []

    def succeeded(self, due: float, second: int, _: RecordMetadata) -> None:
        self.latencies_seconds.append(time.perf_counter() - due)
        self.per_second[second] += 1

    def report(self, sent: int, seconds: float) -> ProduceReport:
        delivered = len(self.latencies_seconds)
        latency_ms = {}
        if delivered:
            p50, p95, p99, worst = np.percentile(self.latencies_seconds, [50, 95, 99, 100]) * 1000
            latency_ms = {"p50": float(p50), "p95": float(p95), "p99": float(p99), "max": float(worst)}
        per_second = [self.per_second[second] for second in range(max(self.per_second, default=-1) + 1)]
        return ProduceReport(sent, sent - delivered, seconds, per_second, latency_ms)
