"""The brief's four features over 300 s (mean amount, count, distinct locations and devices), as others compute them.

Each takes transactions in order of event time. For each of them it returns (transaction_id, mean, count, locations,
devices). An ImportError says that it is not installed (benchmarks/requirements.txt).
"""

from __future__ import annotations

import contextvars
import tempfile
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from capstone_utils.transaction import Transaction

WINDOW_US = 300_000_000
EPOCH = datetime(1970, 1, 1)
Log = Sequence[Transaction]
Values = tuple[float, float, float, float]
Rows = list[tuple[int, float, float, float, float]]


def plain_deque(log: Log) -> Rows:
    """By hand: a deque per user, summed and counted again each time.

    This is right only for transactions in order, seen once.
    """
    windows: defaultdict[int, deque[Transaction]] = defaultdict(deque)
    return [(now.transaction_id, *slide(windows[now.user_id], now)) for now in log]


def slide(window: deque[Transaction], now: Transaction) -> Values:
    """The four features, after `now` has joined the window and the old ones have left it."""
    window.append(now)
    while window[0].event_time_us <= now.event_time_us - WINDOW_US:
        window.popleft()
    mean = sum(t.amount_cents for t in window) / len(window) / 100
    return mean, len(window), len({t.location for t in window}), len({t.device for t in window})


def pandas_per_event(log: Log) -> Rows:
    """As the brief sketches it: a DataFrame of recent transactions per event."""
    recent: defaultdict[int, list[Transaction]] = defaultdict(list)
    values: Rows = []
    for now in log:
        rows = recent[now.user_id] = [t for t in recent[now.user_id] if t.event_time_us > now.event_time_us - WINDOW_US]
        rows.append(now)
        frame = pd.DataFrame(rows, columns=Transaction._fields)
        distinct = frame["location"].nunique(), frame["device"].nunique()
        values.append((now.transaction_id, frame["amount_cents"].mean() / 100, len(frame), *distinct))
    return values


def pandas_rolling(frame: pd.DataFrame) -> pd.DataFrame:
    """pandas over the whole history: groupby.rolling, and `apply` for distinct values."""
    columns = frame.assign(
        when=pd.to_datetime(frame["event_time_us"], unit="us"),
        location=frame["location"].cat.codes.astype(float),
        device=frame["device"].cat.codes.astype(float),
    ).sort_values("user_id", kind="stable")
    windows = columns.groupby("user_id").rolling("300s", on="when")
    series = [windows["amount_cents"].mean() / 100, windows["amount_cents"].count()]
    series += [windows[column].apply(lambda values: len(set(values)), raw=True) for column in ("location", "device")]
    table = {
        name: column.to_numpy() for name, column in zip(("mean", "count", "locations", "devices"), series, strict=True)
    }
    return pd.DataFrame(table, index=columns["transaction_id"])


class Distinct:
    """Distinct values for river's TimeRolling, as river has none that can be reverted."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def update(self, value: str) -> None:
        """Count the value."""
        self.counts[value] += 1

    def revert(self, value: str) -> None:
        """Take the value back."""
        self.counts[value] -= 1
        if not self.counts[value]:
            del self.counts[value]


def river_rolling(log: Log) -> Rows:
    """river's TimeRolling, one per user and column; the mean knows its count."""
    from river import stats, utils

    period = timedelta(microseconds=WINDOW_US)
    rolls: dict[int, tuple[Any, ...]] = {}
    values: Rows = []
    for now in log:
        when = EPOCH + timedelta(microseconds=now.event_time_us)
        if now.user_id not in rolls:
            objects = stats.Mean(), Distinct(), Distinct()
            rolls[now.user_id] = tuple(utils.TimeRolling(each, period) for each in objects)
        mean, locations, devices = rolls[now.user_id]
        mean.update(now.amount_cents, t=when)
        locations.update(now.location, t=when)
        devices.update(now.device, t=when)
        distinct = len(locations.obj.counts), len(devices.obj.counts)
        values.append((now.transaction_id, mean.get() / 100, mean.obj.n, *distinct))
    return values


def bytewax_map(log: Log) -> Rows:
    """bytewax: one worker, a keyed stateful map with a deque per user.

    It has no window that ends at each event.
    """
    from bytewax import operators
    from bytewax.dataflow import Dataflow
    from bytewax.testing import TestingSink, TestingSource, run_main

    def step(
        window: deque[Transaction] | None, now: Transaction
    ) -> tuple[deque[Transaction], tuple[int, float, float, float, float]]:
        window = deque() if window is None else window
        return window, (now.transaction_id, *slide(window, now))

    outputs: list[tuple[str, tuple[int, float, float, float, float]]] = []
    flow = Dataflow("features")
    stream = operators.input("in", flow, TestingSource(log, batch_size=1000))
    keyed = operators.key_on("user", stream, lambda now: str(now.user_id))
    operators.output("out", operators.stateful_map("features", keyed, step), TestingSink(outputs))
    run_main(flow)
    return [values for _, values in outputs]


def quix_sliding(log: Log) -> Rows:
    """quix-streams: its sliding window on its RocksDB state, without Kafka.

    Its windows have both ends closed, in milliseconds: 299,999 ms is the nearest to (t - 300 s, t].
    """
    from quixstreams import Application
    from quixstreams.context import set_message_context
    from quixstreams.dataframe.windows.aggregations import Aggregator, Count, Mean
    from quixstreams.models import Topic, TopicConfig
    from quixstreams.models.messagecontext import MessageContext

    class Different(Aggregator):
        """The distinct values of a column."""

        def __init__(self, column: str) -> None:
            self.column = column

        @property
        def state_suffix(self) -> str:
            return f"different/{self.column}"

        def initialize(self) -> list[str]:
            return []

        def agg(self, old: list[str], new: dict[str, Any], timestamp: int) -> list[str]:
            return old if new[self.column] in old else [*old, new[self.column]]

        def result(self, value: list[str]) -> int:
            return len(value)

    with tempfile.TemporaryDirectory() as folder:
        app = Application("127.0.0.1:1", state_dir=folder, use_changelog_topics=False, loglevel="CRITICAL")
        topic = Topic("transactions")
        topic.broker_config = TopicConfig(
            1, 1, {"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete"}
        )
        frame = app.dataframe(topic).sliding_window(timedelta(milliseconds=299_999))
        frame = frame.agg(
            mean=Mean("amount_cents"), count=Count(), locations=Different("location"), devices=Different("device")
        ).current()
        sink: list[dict[str, float]] = []
        run = frame.compose(sink=lambda value, key, timestamp, headers: sink.append(value))[topic.name]
        app._state_manager.on_partition_assign(frame.stream_id, 0, {topic.name: -1001})
        app._processing_context.init_checkpoint()
        context = contextvars.copy_context()
        context.run(set_message_context, MessageContext(topic.name, 0, 0, 0))
        rows: Rows = []
        for now in log:
            context.run(run, now._asdict(), now.key, now.event_time_us // 1000, None)
            latest = sink[-1]
            rows.append(
                (now.transaction_id, latest["mean"] / 100, *(latest[n] for n in ("count", "locations", "devices")))
            )
    return rows
