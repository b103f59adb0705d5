"""Transactions into a topic at a steady rate: an open loop, and never without an end."""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
from kafka.errors import KafkaError
from kafka.producer.future import RecordMetadata

from capstone_utils.errors import CapstoneError
from capstone_utils.ingestion.streaming.clients import PRODUCER, Producer
from capstone_utils.ingestion.streaming.topics import describe_topic
from capstone_utils.transaction import Transaction


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
        DeliveryFailed: when a message is not acknowledged 30 s after the last one was sent.
    """
    if rate_per_second is not None and not rate_per_second > 0:
        raise ValueError(f"rate_per_second={rate_per_second} is not above 0; None sends as fast as it goes")
    describe_topic(bootstrap_servers, topic)
    sent, deliveries, reason = 0, _Deliveries(), None
    with Producer(bootstrap_servers) as producer:
        producer.partitions_for(topic)  # the first message must not wait for the connection
        start = time.perf_counter()
        try:
            for transaction in transactions:
                due = now = time.perf_counter()
                if rate_per_second is not None:
                    due = start + sent / rate_per_second
                    if due > now:
                        time.sleep(due - now)
                        now = time.perf_counter()
                sent += 1
                future = producer.send(topic, transaction.to_json(), key=transaction.key)
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
        raise DeliveryFailed(topic, report, reason or deliveries.failed[0])
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
