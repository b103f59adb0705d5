"""Topics of the broker: create, empty and describe them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, OffsetSpec
from kafka.errors import (
    BrokerResponseError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)
from kafka.partitioner import murmur2

from capstone_utils.errors import CapstoneError
from capstone_utils.ingestion.streaming.clients import open_admin

DEADLINE_SECONDS = 30.0
# A record's timestamp is the broker's clock: so no producer's clock decides what is from the future, how long a payment
# took, or when retention deletes it.
BROKER_S_CLOCK = {"message.timestamp.type": "LogAppendTime"}


class TopicError(CapstoneError):
    """A topic that is missing or is not as asked for; the message names it and what to do."""


class TopicShape(NamedTuple):
    """A topic as a reader of its log has to know it.

    A topic made anew under the same name has another `log_id`. A compacted one forgets all but a key's last record.
    """

    log_id: str
    partitions: int
    compacted: bool = False


class PartitionState(NamedTuple):
    """One partition: its leader, its first offset that is still kept and the offset that comes next."""

    partition: int
    leader: int
    begin_offset: int
    end_offset: int


def create_topics(bootstrap_servers: str, topics: Mapping[str, int]) -> None:
    """Make the topics (name to number of partitions) that do not exist yet, and return when all can be written to.

    Raises:
        TopicError: when a topic exists with another number of partitions.
        NoBroker: when nothing answers.
    """
    with open_admin(bootstrap_servers) as admin:
        for name, partitions in topics.items():
            try:
                shape = {"num_partitions": partitions, "replication_factor": 1, "configs": BROKER_S_CLOCK}
                admin.create_topics({name: shape})
            except TopicAlreadyExistsError:
                existing = len(_describe(admin, bootstrap_servers, name)["partitions"])
                if existing != partitions:
                    raise TopicError(
                        f"topic {name} exists with {existing} partitions, {partitions} were asked for; "
                        "ask for as many, or delete what it holds with recreate_topic"
                    ) from None
        admin.wait_for_topics(list(topics), timeout_ms=DEADLINE_SECONDS * 1000)


def ensure_topic(bootstrap_servers: str, name: str, partitions: int) -> int:
    """Make the topic with so many partitions if it is missing; the number of partitions that it has.

    Raises:
        TopicError: when another process makes it at the same time, with another number of partitions.
        NoBroker: when nothing answers.
    """
    try:
        return len(describe_topic(bootstrap_servers, name))
    except TopicError:
        create_topics(bootstrap_servers, {name: partitions})
        return partitions


def recreate_topic(bootstrap_servers: str, name: str, partitions: int) -> None:
    """Make the topic empty: delete it if it is there, wait until it is gone, create it and wait until it is ready.

    Consumer groups forget the offsets they had in it.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    with open_admin(bootstrap_servers) as admin:
        try:
            admin.delete_topics([name])
        except UnknownTopicOrPartitionError:
            return create_topics(bootstrap_servers, {name: partitions})
        while for_code(admin.describe_topics([name])[0]["error_code"]) is not UnknownTopicOrPartitionError:
            if time.monotonic() > deadline:
                raise TopicError(f"topic {name} was still there {DEADLINE_SECONDS:.0f} s after its deletion")
            time.sleep(0.05)
    return create_topics(bootstrap_servers, {name: partitions})


def describe_topic(bootstrap_servers: str, name: str) -> list[PartitionState]:
    """The partitions of a topic in order; `pandas.DataFrame` takes the list as it is.

    Raises:
        TopicError, NoBroker: when there is no such topic, no broker.
    """
    with open_admin(bootstrap_servers) as admin:
        leaders = _leaders(admin, bootstrap_servers, name)
        begin = admin.list_partition_offsets(dict.fromkeys(leaders, OffsetSpec.EARLIEST))
        end = admin.list_partition_offsets(dict.fromkeys(leaders, OffsetSpec.LATEST))
    return [PartitionState(tp.partition, leaders[tp], begin[tp].offset, end[tp].offset) for tp in sorted(leaders)]


def topic_shape(bootstrap_servers: str, name: str) -> TopicShape:
    """The topic as it is now.

    Raises:
        TopicError, NoBroker: when there is no such topic, no broker.
    """
    resource = ConfigResource(ConfigResourceType.TOPIC, name)
    with open_admin(bootstrap_servers) as admin:
        topic = _describe(admin, bootstrap_servers, name)
        try:
            config = admin.describe_configs([resource])["topic"][name]
        except BrokerResponseError:  # not ours to see, on a broker of others
            config = {}
    policy = config.get("cleanup.policy", {}).get("value", "delete")
    return TopicShape(str(topic["topic_id"]), len(topic["partitions"]), "compact" in policy)


@lru_cache(maxsize=2**16)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key's records by the partitioner of Java's, kafka-python's and this project's producers.

    >>> [partition_of(b"%d" % user, 4) for user in range(8)]
    [0, 3, 0, 3, 1, 2, 2, 3]
    """
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


def end_offsets(bootstrap_servers: str, name: str) -> dict[int, int]:
    """The offset that comes next in each partition; their sum is how many messages the topic ever took."""
    return {state.partition: state.end_offset for state in describe_topic(bootstrap_servers, name)}


def _leaders(admin: KafkaAdminClient, bootstrap_servers: str, name: str) -> dict[TopicPartition, int]:
    """The leading broker of each partition; a broker that has just started has leaders a moment later.

    Raises:
        TopicError: when there is no such topic, or a partition still has no leader at the deadline.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        partitions = _describe(admin, bootstrap_servers, name)["partitions"]
        leaders = {TopicPartition(name, each["partition_index"]): each["leader_id"] for each in partitions}
        leaderless = [partition.partition for partition, leader in leaders.items() if leader < 0]
        if not leaderless:
            return leaders
        if time.monotonic() > deadline:
            raise TopicError(f"partitions {leaderless} of {name} had no leader after {DEADLINE_SECONDS:.0f} s")
        time.sleep(0.05)


def _describe(admin: KafkaAdminClient, bootstrap_servers: str, name: str) -> dict[str, Any]:
    topic: dict[str, Any] = admin.describe_topics([name])[0]
    if for_code(topic["error_code"]) is UnknownTopicOrPartitionError:
        raise TopicError(
            f"there is no topic {name} at {bootstrap_servers}; its first writer makes it, or create_topics"
        )
    return topic
