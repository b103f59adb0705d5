"""Traffic for the service from several callers, with attacks on demand."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import numpy as np

from capstone_utils.ingestion.arrays import Array
from capstone_utils.transaction import Transaction

CALLERS = 12


class Traffic:
    """Callers that POST transactions to /score in the background until stopped."""

    def __init__(self, url: str, transactions: Iterable[Transaction], rate_per_second: float) -> None:
        self.url, self.rate_per_second = url, rate_per_second
        self.sent = self.failed = 0
        self.event_time_us = 0  # of the latest transaction, the attack's left out
        self.started_at = time.time()
        self._transactions = iter(transactions)
        self._attack: Iterator[Transaction] = iter(())
        self._share = 0.0
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._callers = [threading.Thread(target=self._call, daemon=True) for _ in range(CALLERS)]

    def start(self) -> None:
        """Begin to send."""
        self.started_at = time.time()
        for caller in self._callers:
            caller.start()

    def stop(self) -> None:
        """Send nothing more, and wait for the responses under way."""
        self._stopping.set()
        for caller in self._callers:
            caller.join()

    def mix_in(self, attack: Iterable[Transaction], share: float) -> None:
        """Take this share (0 to 1) of the transactions from `attack`, as long as it lasts."""
        with self._lock:
            self._attack, self._share = iter(attack), share

    def wait_until_sent(self, count: int, deadline_seconds: float) -> int:
        """Wait until `count` transactions are sent or the time is up; return the number sent."""
        deadline = time.monotonic() + deadline_seconds
        while self.sent < count and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.sent

    def _call(self) -> None:
        with httpx.Client(base_url=self.url, timeout=10) as client:
            while not self._stopping.is_set():
                due, transaction = self._next()
                if transaction is None:
                    return
                if self._stopping.wait(max(due - time.time(), 0)):
                    return
                try:
                    success = client.post("/score", json=transaction.to_dict()).is_success
                except httpx.HTTPError:
                    success = False
                with self._lock:
                    self.sent += 1
                    self.failed += not success

    def _next(self) -> tuple[float, Transaction | None]:
        """The time at which the next transaction is due, and the transaction."""
        with self._lock:
            number = next(self._numbers)
            from_attack = int((number + 1) * self._share) > int(number * self._share)
            transaction = next(self._attack, None) if from_attack else None
            if transaction is None and (transaction := next(self._transactions, None)):
                self.event_time_us = transaction.event_time_us
            return self.started_at + number / self.rate_per_second, transaction


def time_requests(
    client: httpx.Client, path: str, bodies: Iterable[dict[str, Any]]
) -> tuple[Array, list[dict[str, Any]]]:
    """Milliseconds of each POST for the client, and the responses' bodies.

    The milliseconds have shape (bodies,). The requests are sent one after the other.

    The requests are sent one after the other.

    Raises:
        httpx.HTTPStatusError: when a response is no success: a fast refusal must not count as fast.
    """
    milliseconds, responses = [], []
    for body in bodies:
        began = time.perf_counter()
        response = client.post(path, json=body).raise_for_status()
        milliseconds.append(1_000 * (time.perf_counter() - began))
        responses.append(response.json())
    return np.array(milliseconds), responses
