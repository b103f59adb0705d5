"""Payments at a steady rate into a topic, and their reading, both in the background."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from functools import partial

import pandas as pd
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from capstone_utils.daemon import in_background
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.streaming.clients import Producer
from capstone_utils.ingestion.streaming.consumer import Consumer

PATIENT = {"delivery_timeout_ms": 15 * 60_000}  # a learner thinks for minutes while the broker is away
FLUSH_SECONDS = 20.0


class LiveFlow:
    """A producer and a reader of one topic, from now until `finish`; `sent` and `read` count by second.

    `failed` counts payments without an acknowledgement; `longest_wait` is the most seconds that one took.
    """

    def __init__(
        self, bootstrap_servers: str, topic: str, partitions: int, payments: pd.DataFrame, rate_per_second: int
    ) -> None:
        self.sent: Counter[int] = Counter()
        self.read: Counter[int] = Counter()
        self.failed, self.longest_wait = 0, 0.0
        self._where, self._topic, self._rate = bootstrap_servers, topic, rate_per_second
        self._began = time.monotonic()
        self._last, self._done = threading.Event(), threading.Event()
        here = [TopicPartition(topic, each) for each in range(partitions)]
        self._sending = in_background(lambda: self._send(payments))[0]
        self._reading = in_background(lambda: self._read(here))[0]

    def second(self) -> int:
        """The whole seconds since it began."""
        return int(time.monotonic() - self._began)

    def waiting(self) -> int:
        """The number of payments that were sent and not read yet."""
        return self.sent.total() - self.read.total()

    def read_a_second(self, seconds: int) -> float:
        """The mean of the last whole seconds, read a second."""
        now = self.second()
        return sum(self.read[now - back] for back in range(1, seconds + 1)) / seconds

    def wait_until_read(self, at_most: int, seconds: float) -> bool:
        """Wait until so few payments are left unread, or the time is up; True when they are."""
        deadline = time.monotonic() + seconds
        while self.waiting() > at_most and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.waiting() <= at_most

    def finish(self, seconds: float) -> None:
        """Send nothing more, read what is left within so many seconds, and stop."""
        self._last.set()
        try:
            self._sending.result()
        finally:
            self.wait_until_read(0, seconds)
            self._done.set()
            self._reading.result()

    def _send(self, payments: pd.DataFrame) -> None:
        with Producer(self._where, **PATIENT) as producer:
            for number, payment in enumerate(transactions_of(payments)):
                due = self._began + number / self._rate
                if self._last.wait(max(due - time.monotonic(), 0)):
                    break
                self.sent[self.second()] += 1
                future = producer.send(self._topic, payment.to_json(), key=payment.key)
                future.add_callback(partial(self._acknowledged, time.monotonic()))
                future.add_errback(self._failed)
            with contextlib.suppress(KafkaTimeoutError):  # what did not arrive is counted by who asks
                producer.flush(FLUSH_SECONDS)

    def _acknowledged(self, sent_at: float, _: object) -> None:
        self.longest_wait = max(self.longest_wait, time.monotonic() - sent_at)

    def _failed(self, _: object) -> None:
        self.failed += 1

    def _read(self, partitions: list[TopicPartition]) -> None:
        with Consumer(self._where, enable_auto_commit=False) as consumer:
            consumer.assign(partitions)
            consumer.seek_to_beginning(*partitions)
            while not self._done.is_set():
                for records in consumer.poll(100).values():
                    self.read[self.second()] += len(records)
