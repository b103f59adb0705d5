"""The seam between the worker and a Kafka client: poll a batch; produce its outputs; commit them with its offsets.

All of a batch's outputs and the offsets up to which it read become visible in one transaction, or none of them does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from capstone_utils.errors import CapstoneError

SESSION_SECONDS = 10  # of silence, after which the group takes a member for dead
TAKEN = (
    "this worker leaves: another one has its name (CAPSTONE_WORKER_NAME), "
    f"or it was silent for more than the session's {SESSION_SECONDS} s"
)
CLOSE_SECONDS = 10.0
Headers = Sequence[tuple[str, bytes]]


class Record(Protocol):
    """A consumed message; `timestamp` is when its producer handed it over, in epoch milliseconds."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


class Output(NamedTuple):
    """A message to be produced."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] = []  # noqa: RUF012  # never changed


class Position(NamedTuple):
    """The offset at which reading of a partition goes on, and the offset at which its log begins.

    `gone` counts the records that were deleted before they were read: above 0 when retention has overtaken the group.
    """

    offset: int
    begin: int
    gone: int = 0


class Polled(NamedTuple):
    """A batch; or, with no records, the positions of all partitions that are this member's from now on.

    `moved` is set whenever reading goes on elsewhere than after the last record.
    """

    records: Sequence[Record]
    moved: Mapping[int, Position] | None = None


class Lost(RuntimeError):
    """The transaction was not committed, or it is not known to be: read on from the last commit, whatever that is."""


class Fenced(CapstoneError, RuntimeError):
    """Another worker has this worker's name, or it was thought dead for too long: it must leave."""


class Client(Protocol):
    """One member of the group with one transactional producer, for one thread."""

    def poll(self, seconds: float, most: int) -> Polled:
        """At most so many records, from each partition in order; none when none came in time. Raises Lost, Fenced."""

    def produce(self, outputs: Sequence[Output]) -> None:
        """Hand the outputs to the open transaction; begin one where none is. Raises Lost, Fenced."""

    def commit(self, ends: Mapping[int, int]) -> None:
        """Commit the transaction with, by partition, the offset that comes next. Raises Lost, Fenced."""

    def rewind(self) -> Mapping[int, Position]:
        """Go back to the last commit: the positions of all partitions of this member. Raises Lost, Fenced."""

    def lag(self) -> Mapping[int, int]:
        """By partition of this member, how many records wait behind what was polled; without those not known now."""

    def close(self) -> None:
        """Leave; an open transaction is aborted, within `CLOSE_SECONDS` or by the broker when its time is over."""


def locate(topic: str, partition: int, committed: int | None, begin: int, end: int) -> Position:
    """The position after the last commit, or at the log's beginning when there is none or the log begins later.

    Raises:
        Fenced: when the commit lies beyond the log's end: it is another log than the one that was read.
    """
    if committed is None:
        return Position(begin, begin)
    if committed > end:
        raise Fenced(
            f"the group has committed offset {committed} of {topic}/{partition}, whose log ends at {end}: the topic "
            "was made anew or cut. Delete the group's offsets, or name another group (CAPSTONE_WORKER_GROUP)"
        )
    return Position(max(committed, begin), begin, max(begin - committed, 0))
