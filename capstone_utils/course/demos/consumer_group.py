"""A consumer group at work in the background, and its members' reading."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from kafka import TopicPartition

from capstone_utils.ingestion.streaming.consumer import Consumer
from capstone_utils.ingestion.streaming.reader import TransactionReader
from capstone_utils.ingestion.streaming.topics import describe_topic

START_SECONDS = 60.0  # for a busy machine: on a quiet one the members join within one


def skip_to_end(bootstrap_servers: str, topic: str, group: str) -> None:
    """Commit every partition's end, so that the group skips present messages."""
    partitions = [TopicPartition(topic, state.partition) for state in describe_topic(bootstrap_servers, topic)]
    with Consumer(bootstrap_servers, group_id=group, enable_auto_commit=False) as consumer:
        consumer.assign(partitions)
        consumer.seek_to_end(*partitions)
        for partition in partitions:
            consumer.position(partition)  # seeking is lazy; asking makes it happen
        consumer.commit()


class Member:
    """One member of a group, with the batches that it has read."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.partitions: tuple[int, ...] = ()
        self.read: list[tuple[float, int]] = []  # time and size of each batch
        self.ages_seconds: list[float] = []  # from the producer to this member

    def read_until(self, stopping: threading.Event, bootstrap_servers: str, topic: str, group: str) -> None:
        """Read in batches; when told to stop, leave the group within half a second."""
        with TransactionReader(bootstrap_servers, topic, group) as reader:
            while not stopping.is_set():
                for batch in reader.batches(max_messages=10**9, deadline_seconds=0.5):
                    now = time.time()
                    self.read.append((now, len(batch)))
                    self.ages_seconds += [now - received.timestamp_ms / 1_000 for received in batch]
                self.partitions = reader.assignments[-1] if reader.assignments else ()


class ReadingGroup:
    """A group of members that read from now on; use it in a `with` block."""

    def __init__(self, bootstrap_servers: str, topic: str, members: int) -> None:
        self._bootstrap_servers, self._topic = bootstrap_servers, topic
        self._group = f"readers-{time.time_ns()}"  # a group of its own each time: it remembers nothing
        self.members = [Member(f"member {number}") for number in range(1, members + 1)]
        self._stopping = threading.Event()
        self._threads = ThreadPoolExecutor(members)
        self._reading: list[Future[None]] = []

    def __enter__(self) -> ReadingGroup:
        """Start the members; wait until the partitions are shared out among them."""
        try:
            self._start()
        except BaseException:  # an interrupted start, too, leaves no member reading
            self._stop()
            raise
        return self

    def _start(self) -> None:
        skip_to_end(self._bootstrap_servers, self._topic, self._group)
        partitions = {state.partition for state in describe_topic(self._bootstrap_servers, self._topic)}
        source = self._bootstrap_servers, self._topic, self._group
        self._reading = [self._threads.submit(member.read_until, self._stopping, *source) for member in self.members]
        deadline = time.monotonic() + START_SECONDS
        while not self._shared_out(partitions):
            if time.monotonic() > deadline or any(reading.done() for reading in self._reading):
                raise TimeoutError(f"the group had shared out only {self.assignment()} after {START_SECONDS:.0f} s")
            time.sleep(0.05)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self._stopping.set()
        self._threads.shutdown()
        for reading in self._reading:
            reading.result()  # raises what a member raised

    def _shared_out(self, partitions: set[int]) -> bool:
        owned = sorted(partition for member in self.members for partition in member.partitions)
        busy = sum(bool(member.partitions) for member in self.members)
        return owned == sorted(partitions) and busy == min(len(self.members), len(partitions))

    def assignment(self) -> dict[str, tuple[int, ...]]:
        """The partitions of each member."""
        return {member.name: member.partitions for member in self.members}

    def total(self) -> int:
        """The number of transactions that the group has read."""
        return sum(count for member in self.members for _, count in member.read)

    def wait_for(self, messages: int, deadline_seconds: float) -> int:
        """Wait until so many `messages` are read or the time is up; return the number read."""
        deadline = time.monotonic() + deadline_seconds
        while self.total() < messages and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.total()

    def per_second(self) -> dict[str, list[int]]:
        """Transactions read in each second since the group's first, by member."""
        began = min((when for member in self.members for when, _ in member.read), default=0.0)
        counted: dict[str, Counter[int]] = {member.name: Counter() for member in self.members}
        for member in self.members:
            for when, count in member.read:
                counted[member.name][int(when - began)] += count
        seconds = range(1 + max((second for counts in counted.values() for second in counts), default=-1))
        return {name: [counts[second] for second in seconds] for name, counts in counted.items()}

    def seconds_in_pipe(self) -> list[float]:
        """Seconds from the producer to the member, for each transaction."""
        return [age for member in self.members for age in member.ages_seconds]
