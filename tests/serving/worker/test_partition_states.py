"""A partition's state is a function of its log: with a snapshot, without, with a spoilt one, on a full disk."""

from pathlib import Path

import pytest

from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.spec import BRIEF, SPEC
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.streaming.partition_log import read_partition
from capstone_utils.ingestion.streaming.producer import produce
from capstone_utils.ingestion.streaming.topics import TopicShape, describe_topic, topic_shape
from capstone_utils.serving.snapshot_file import write_snapshot
from capstone_utils.serving.worker.client import Position
from capstone_utils.serving.worker.metrics import WorkerMetrics
from capstone_utils.serving.worker.partition_states import PartitionStates
from capstone_utils.transaction import Transaction


@pytest.fixture
def made(broker, topic, stream, daily, tmp_path):
    """A function: states on a filled topic, as a worker that begins has them; and their metrics."""
    produce(broker.bootstrap_servers, topic, transactions_of(stream.transactions.head(2000)))

    def make(folder=tmp_path / "state", log_id=""):
        metrics, shape = WorkerMetrics(), topic_shape(broker.bootstrap_servers, topic)
        if log_id:
            shape = shape._replace(log_id=log_id)
        return PartitionStates(broker.bootstrap_servers, topic, shape, folder, metrics, daily), metrics

    return make


@pytest.fixture
def positions(broker, topic, made):
    return {each.partition: Position(each.end_offset, 0) for each in describe_topic(broker.bootstrap_servers, topic)}


def outcomes(metrics):
    samples = next(iter(metrics.snapshots.collect())).samples
    return {sample.labels["outcome"]: sample.value for sample in samples if sample.name.endswith("_total")}


def after(states, partition, count=50):
    """What the next payments of known customers would be given."""
    online = states.online[partition]
    users = sorted(online.users)[:count]
    return [
        online.peek(Transaction(10**9, user, 100, 1_790_000_000_000_000, "NY", "Amazon", "mobile")) for user in users
    ]


def test_the_state_is_the_log_s(broker, topic, made, positions, daily):
    states, _ = made()
    states.follow(positions)
    online = OnlineFeatures(SPEC, daily)
    for record in read_partition(broker.bootstrap_servers, topic, 0):
        online.update(Transaction.from_record(record.key, record.value, record.timestamp))
    assert states.online[0].snapshot() == online.snapshot()


def test_a_snapshot_leads_to_the_same_state_and_is_used(made, positions):
    states, _ = made()
    halfway = {part: replace_offset(position) for part, position in positions.items()}
    states.follow(halfway)
    states.save_all()
    states.follow(positions)
    again, metrics = made()
    again.follow(positions)
    assert outcomes(metrics)["used"] == 4
    assert [repr(after(again, part)) for part in positions] == [repr(after(states, part)) for part in positions]


def replace_offset(position):
    return position._replace(offset=position.offset // 2)


def corrupt(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-10])


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("spoil", [corrupt, truncate, empty])
def test_a_spoilt_snapshot_is_refused_and_the_log_read_instead(made, positions, tmp_path, spoil):
    states, _ = made()
    states.follow(positions)
    states.save_all()
    for path in (tmp_path / "state").iterdir():
        spoil(path)
    again, metrics = made()
    again.follow(positions)
    assert (outcomes(metrics)["invalid"], outcomes(metrics)["used"]) == (4, 0)
    assert [repr(after(again, part)) for part in positions] == [repr(after(states, part)) for part in positions]


def test_a_snapshot_of_another_log_is_refused(made, positions):
    states, _ = made()
    states.follow(positions)
    states.save_all()
    again, metrics = made(log_id="of a topic that was made anew")
    again.follow(positions)
    assert (outcomes(metrics)["invalid"], outcomes(metrics)["used"]) == (4, 0)


def test_a_snapshot_of_another_spec_is_refused(broker, topic, made, positions, daily, tmp_path):
    log_id = topic_shape(broker.bootstrap_servers, topic).log_id
    for part, position in positions.items():
        path = tmp_path / "state" / f"{topic}-{part}.snapshot"
        write_snapshot(path, log_id, position.offset, OnlineFeatures(BRIEF, daily))
    states, metrics = made()
    states.follow(positions)
    assert (outcomes(metrics)["invalid"], outcomes(metrics)["used"]) == (4, 0)


def test_a_snapshot_past_the_last_commit_or_before_the_log_s_beginning_is_not_used(made, positions):
    states, _ = made()
    states.follow(positions)
    states.save_all()
    earlier = {part: replace_offset(position) for part, position in positions.items()}
    later = {part: Position(position.offset + 1, position.offset + 1) for part, position in positions.items()}
    for elsewhere in (earlier, later):
        again, metrics = made()
        again.follow(elsewhere)
        assert outcomes(metrics)["used"] == 0


def test_what_was_not_committed_is_thrown_away(made, positions, stream):
    states, _ = made()
    states.follow(positions)
    before = after(states, 0)
    user = min(states.online[0].users)
    states.advance({0: positions[0].offset + 1})
    states.online[0].update(Transaction(10**9, user, 100, 1_789_999_999_000_000, "NY", "Amazon", "mobile"))
    assert repr(after(states, 0)) != repr(before)
    kept = states.online[1]
    states.follow(positions)  # the commit failed: the position is the old one
    assert repr(after(states, 0)) == repr(before)
    assert states.online[1] is kept


def test_of_a_topic_that_was_made_anew_no_state_is_right(made, positions):
    states, metrics = made()
    states.follow(positions)
    states.of_topic(TopicShape("of a topic that was made anew", 4))
    assert states.online == {}
    assert metrics.registry.get_sample_value("worker_topics_made_anew_total") == 1


def test_partitions_that_are_lost_are_dropped(made, positions):
    states, _ = made()
    states.follow(positions)
    states.follow({2: positions[2]})
    assert list(states.online) == [2]


def test_on_a_full_disk_there_is_no_snapshot_and_no_harm(made, positions, monkeypatch, tmp_path):
    def full(*_):
        raise OSError(28, "No space left on device")

    states, metrics = made()
    states.follow(positions)
    monkeypatch.setattr(Path, "write_bytes", full)
    states.save_all()
    assert outcomes(metrics)["failed"] == 4
    assert not list((tmp_path / "state").iterdir())
