"""Traffic for the service: payments from several callers at a steady rate, with an attack mixed in on demand."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import numpy as np

from capstone_utils.arrays import Floats
from capstone_utils.transaction import Transaction

CALLERS = 12


class Traffic:
    """Callers that POST payments to /score in the background until stopped."""

    def __init__(self, url: str, payments: Iterable[Transaction], rate_per_second: float) -> None:
        self.url, self.rate_per_second = url, rate_per_second
        self.sent = self.failed = 0
        self.event_time_us = 0  # of the latest payment taken, the attack's left out
        self.started_at = time.time()
        self._payments = iter(payments)
        self._attack: Iterator[Transaction] = iter(())
        self._share = 0.0
        self._taken = itertools.count()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._callers = [threading.Thread(target=self._call, daemon=True) for _ in range(CALLERS)]

    def start(self) -> None:
        """Begin to send."""
        self.started_at = time.time()
        for caller in self._callers:
            caller.start()

    def stop(self) -> None:
        """Send nothing more, and wait for the answers under way."""
        self._stopping.set()
        for caller in self._callers:
            caller.join()

    def mix_in(self, attack: Iterable[Transaction], share: float) -> None:
        """From now on, take this share of the payments from `attack`, as long as it lasts."""
        with self._lock:
            self._attack, self._share = iter(attack), share

    def wait_until_sent(self, payments: int, deadline_seconds: float) -> int:
        """How many were sent when `payments` were, or when the time was up."""
        deadline = time.monotonic() + deadline_seconds
        while self.sent < payments and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.sent

    def _call(self) -> None:
        with httpx.Client(base_url=self.url, timeout=10) as client:
            while not self._stopping.is_set():
                due, payment = self._next()
                if payment is None:
                    return
                if self._stopping.wait(max(due - time.time(), 0)):
                    return
                try:
                    answered = client.post("/score", json=payment.to_dict()).is_success
                except httpx.HTTPError:
                    answered = False
                with self._lock:
                    self.sent += 1
                    self.failed += not answered

    def _next(self) -> tuple[float, Transaction | None]:
        """The next payment and when it is due."""
        with self._lock:
            number = next(self._taken)
            from_attack = int((number + 1) * self._share) > int(number * self._share)
            payment = next(self._attack, None) if from_attack else None
            if payment is None and (payment := next(self._payments, None)):
                self.event_time_us = payment.event_time_us
            return self.started_at + number / self.rate_per_second, payment


def time_requests(
    client: httpx.Client, path: str, bodies: Iterable[dict[str, Any]]
) -> tuple[Floats, list[dict[str, Any]]]:
    """Milliseconds that each POST took, one after the other, as the client saw it, shape (bodies,); and the answers.

    Raises:
        httpx.HTTPStatusError: when an answer is not a success: a fast refusal must not count as fast.
    """
    milliseconds, answers = [], []
    for body in bodies:
        began = time.perf_counter()
        answer = client.post(path, json=body).raise_for_status()
        milliseconds.append(1_000 * (time.perf_counter() - began))
        answers.append(answer.json())
    return np.array(milliseconds), answers
