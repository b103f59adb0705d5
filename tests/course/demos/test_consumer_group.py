"""A group of readers shares the partitions, and reads everything that arrives once."""

import threading
import time
from types import SimpleNamespace

import pytest

from capstone_utils.course.demos import consumer_group as group_module
from capstone_utils.course.demos.consumer_group import ReadingGroup
from capstone_utils.ingestion.streaming.producer import produce
from capstone_utils.ingestion.streaming.topics import TopicError
from capstone_utils.transaction import Transaction


def payments(count):
    start_us = 1_767_225_600_000_000
    return [
        Transaction(number, number % 50, 100, start_us + number, "NY", "Amazon", "mobile") for number in range(count)
    ]


def threads():
    return [thread for thread in threading.enumerate() if "ThreadPoolExecutor" in thread.name]


def test_two_members_share_four_partitions_and_read_everything_that_arrives_once(broker, topic):
    produce(broker.bootstrap_servers, topic, payments(100))  # what lies there already is not theirs
    with ReadingGroup(broker.bootstrap_servers, topic, members=2) as group:
        shared = group.assignment()
        produce(broker.bootstrap_servers, topic, payments(3_000))
        assert group.wait_for(3_000, deadline_seconds=30) == 3_000
    assert sorted(partition for mine in shared.values() for partition in mine) == [0, 1, 2, 3]
    assert {len(mine) for mine in shared.values()} == {2}
    assert group.total() == 3_000, "the rest of the time brought nothing twice"
    assert {name: sum(counts) for name, counts in group.per_second().items()} == {
        member.name: len(member.ages_seconds) for member in group.members
    }
    assert all(sum(counts) > 0 for counts in group.per_second().values())
    assert len(group.seconds_in_pipe()) == 3_000
    assert min(group.seconds_in_pipe()) >= -0.001  # the producer's clock has whole milliseconds
    assert threads() == []


def test_a_member_beyond_the_partitions_waits_in_reserve(broker, topic):
    with ReadingGroup(broker.bootstrap_servers, topic, members=5) as group:
        assert sorted(len(mine) for mine in group.assignment().values()) == [0, 1, 1, 1, 1]
    assert group.per_second() == {f"member {number}": [] for number in range(1, 6)}


def test_waiting_ends_at_the_deadline(broker, topic):
    with ReadingGroup(broker.bootstrap_servers, topic, members=1) as group:
        assert group.wait_for(1, deadline_seconds=0.1) == 0


def test_a_missing_topic_is_named(broker):
    with pytest.raises(TopicError, match="there is no topic nowhere"):
        ReadingGroup(broker.bootstrap_servers, "nowhere", members=2).__enter__()


def test_a_group_that_is_not_complete_in_time_says_how_far_it_came(broker, topic, monkeypatch):
    monkeypatch.setattr(group_module, "START_SECONDS", 0.0)
    with pytest.raises(TimeoutError, match=r"the group had shared out only \{'member 1': \(\).* after 0 s"):
        ReadingGroup(broker.bootstrap_servers, topic, members=2).__enter__()
    assert threads() == []


def test_an_interrupted_start_leaves_no_member_reading(broker, topic, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(group_module, "time", SimpleNamespace(**vars(time) | {"sleep": interrupt}))
    with pytest.raises(KeyboardInterrupt):
        ReadingGroup(broker.bootstrap_servers, topic, members=1).__enter__()
    assert threads() == []
