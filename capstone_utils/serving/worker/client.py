"""The seam between the worker and a Kafka client: poll a batch; produce its outputs; commit them with its offsets.

All of a batch's outputs and the offsets up to which it read become visible in one transaction, or none of them does.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from kafka.errors import KafkaError

from capstone_utils.errors import CapstoneError
from capstone_utils.ingestion.streaming.clients import NoBroker
from capstone_utils.ingestion.streaming.topics import TopicError, TopicShape, topic_shape

SESSION_SECONDS = 10  # of silence, after which the group takes a member for dead
TAKEN = (
    "this worker leaves: another one has its name (CAPSTONE_WORKER_NAME), "
    f"or it was silent for more than the session's {SESSION_SECONDS} s"
)
CLOSE_SECONDS = 5.0
LOG = logging.getLogger(__name__)
Headers = Sequence[tuple[str, bytes]]


class Record(Protocol):
    """A consumed message; `timestamp`, in epoch milliseconds, is the broker's clock or else its producer's."""

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


class Commit(NamedTuple):
    """The offset that the group committed, and the id of the log that it read; older commits have no id."""

    offset: int
    log_id: str


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
        """At most so many records, from each partition in order; none when none came in time.

        Raises Lost, Fenced; UnreadableBatch, which hands out nothing of its partition until the next `rewind`.
        """

    def hold(self, partition: int) -> None:
        """Hand out nothing of this partition until the next `rewind`, and go on with the others."""

    def produce(self, outputs: Sequence[Output]) -> None:
        """Hand the outputs to the open transaction; begin one where none is. Raises Lost, Fenced."""

    def commit(self, ends: Mapping[int, int]) -> None:
        """Commit the transaction with, by partition, the offset that comes next. Raises Lost, Fenced."""

    def rewind(self) -> Mapping[int, Position]:
        """Go back to the last commit: the positions of all partitions of this member. Raises Lost, Fenced."""

    def look(self) -> TopicShape:
        """The topic as it is now. Raises Lost."""

    def lag(self) -> Mapping[int, int]:
        """By partition of this member, how many records wait behind what was polled; without those not known now."""

    def close(self) -> None:
        """Leave; an open transaction is aborted, within `CLOSE_SECONDS` or by the broker when its time is over."""


def look(bootstrap_servers: str, topic: str) -> TopicShape:
    """The topic as it is now.

    Raises:
        Lost: when the broker does not say, or there is no such topic now.
    """
    try:
        return topic_shape(bootstrap_servers, topic)
    except (KafkaError, NoBroker, TopicError) as error:
        raise Lost(str(error)) from error


def locate(topic: str, partition: int, commit: Commit | None, shape: TopicShape, begin: int, end: int) -> Position:
    """The position after the last commit, or at the log's beginning when there is none or the log begins later.

    A first start on a log whose beginning is gone has lost that. A commit in another log of this name is none.

    Raises:
        Fenced: when the commit lies beyond the log's end: it is another log than the one that was read.
    """
    if commit is not None and commit.log_id not in ("", shape.log_id):
        LOG.error(
            "%s was made anew: the group's offset %d of partition %d is of the topic that was deleted, and what it had "
            "not read of that is gone; reading begins at offset %d",
            *(topic, commit.offset, partition, begin),
        )
        commit = None
    committed = 0 if commit is None else commit.offset
    if committed > end:
        raise Fenced(
            f"the group has committed offset {committed} of {topic}/{partition}, whose log ends at {end}: the topic "
            "was made anew or cut. Delete the group's offsets, or name another group (CAPSTONE_WORKER_GROUP)"
        )
    return Position(max(committed, begin), begin, max(begin - committed, 0))
