"""A live check of the features: those of a sample of users are recomputed offline while the service runs."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from queue import SimpleQueue

from capstone_utils.features.daily_tables import DailyTable
from capstone_utils.features.parity import ParitySampler
from capstone_utils.serving.service.metrics import ServiceMetrics
from capstone_utils.serving.service.state.scorer import Scorer
from capstone_utils.transaction import Transaction

SHARE = 0.05  # of the users
EVERY_SECONDS = 5.0
MAX_ROWS = 5_000  # recomputed in a check: more would hold up the requests of that moment


class ParityWatch:
    """Follows a scorer's sampled users from now on, in a thread of its own; a scorer has one watch at a time.

    The scorer only drops transactions and features into a queue, so that no request waits for the check.
    """

    def __init__(
        self, scorer: Scorer, metrics: ServiceMetrics, share: float = SHARE, every_seconds: float = EVERY_SECONDS
    ) -> None:
        self._scorer, self._metrics, self._every_seconds = scorer, metrics, every_seconds
        self._queue: SimpleQueue[tuple[Transaction, tuple[float, ...] | None, Mapping[str, DailyTable]]] = SimpleQueue()
        self._daily: Mapping[str, DailyTable] = scorer.daily
        self._sampler = ParitySampler(scorer.online, scorer.daily, share, MAX_ROWS)
        self._sampler.check()  # compiles what the offline computation needs, before the first request comes
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        scorer.watch = self._note
        self._thread.start()

    def stop(self) -> None:
        """Check what is left, then stop."""
        self._scorer.watch = None
        self._stopping.set()
        self._thread.join()

    def _note(self, transaction: Transaction, features: tuple[float, ...] | None) -> None:
        if self._sampler.samples(transaction.user_id):
            self._queue.put((transaction, features, self._scorer.daily))

    def _run(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stopping.wait(self._every_seconds)
            if self._queue.empty():
                continue
            while not self._queue.empty():
                transaction, features, daily = self._queue.get()
                if daily is not self._daily:  # what was made with the earlier tables is recomputed with them
                    self._check()
                    self._daily = daily
                    self._sampler.use_daily(daily)
                self._sampler.record(transaction, features)
            self._check()

    def _check(self) -> None:
        report = self._sampler.check()
        self._metrics.parity_rows.inc(int(report["rows"].max()))
        for feature, mismatches in zip(report["feature"], report["mismatches"], strict=True):
            if mismatches:
                self._metrics.parity_mismatches.labels(feature).inc(mismatches)
