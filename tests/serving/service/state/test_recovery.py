"""The state after a restart is the one before it, whatever became of the process or of its files."""

import logging
import os
import pickle
import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry, Counter

from capstone_utils.features.enriched import enrich, write_enriched
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.spec import BRIEF, SPEC
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.serving.service.state import recovery, snapshot_keeper
from capstone_utils.serving.service.state.journal import (
    InvalidJournal,
    Journal,
    read_segment,
    segment,
    segments,
    snapshot,
    snapshots,
)
from capstone_utils.serving.service.state.recovery import load_state
from capstone_utils.serving.service.state.scorer import Scorer
from capstone_utils.serving.service.state.service_state import ServiceState
from capstone_utils.serving.service.state.snapshot_keeper import SnapshotKeeper
from capstone_utils.settings import ROOT
from tests.serving.service.state.killed_at_each_step import SEGMENT_BYTES, make_snapshot, score

pytestmark = pytest.mark.slow

HISTORY = 200  # transactions that are history when the service begins


@pytest.fixture(scope="module")
def history(stream, daily, tmp_path_factory):
    """Notebook 2's file, with the stream's first transactions."""
    frame = stream.transactions.head(HISTORY)
    path = tmp_path_factory.mktemp("history") / "enriched_transactions.csv"
    write_enriched(enrich(frame, offline_features(frame, SPEC, daily), stream.labels), path)
    return path


@pytest.fixture(scope="module")
def transactions(stream):
    """The ones that come after the history."""
    return list(transactions_of(stream.transactions.iloc[HISTORY : HISTORY + 400]))


@pytest.fixture
def folder(history, transactions, tmp_path):
    """A journal of 300 transactions, with snapshots after each segment."""
    with Journal(tmp_path / "journal", 10_000) as journal:
        state = load_state(journal, history)
        for transaction in transactions[:300]:
            journal.append(score(state, transaction))
            make_snapshot(journal, history)
    return tmp_path / "journal"


@pytest.fixture
def expected(history, transactions, tmp_path_factory):
    """The scores of a service that was never restarted."""
    state = restarted(tmp_path_factory.mktemp("never") / "journal", history)
    return [score(state, transaction) for transaction in transactions]


def assert_goes_on(state: ServiceState, transactions, expected):
    """What was scored is scored the same again, and all else as if there had been no restart."""
    for transaction, before in zip(transactions, expected, strict=True):
        again = state.earlier(transaction)
        if again is None:
            assert repr(score(state, transaction)) == repr(before)
        else:
            assert repr(again) == repr(before._replace(duplicate=True))


def restarted(folder, history, **options):
    with Journal(folder) as journal:
        return load_state(journal, history, **options)


def test_a_restarted_service_goes_on_with_the_same_features_and_knows_what_it_scored(
    folder, history, transactions, expected
):
    state = restarted(folder, history)
    assert len(state.scores) == 300
    assert_goes_on(state, transactions, expected)


def test_killed_before_any_access_to_its_files_nothing_that_was_scored_is_lost(
    history, transactions, expected, tmp_path
):
    (tmp_path / "transactions").write_bytes(pickle.dumps(transactions[:40]))
    command = [sys.executable, "-m", "tests.serving.service.state.killed_at_each_step", str(tmp_path), str(history)]
    subprocess.run(command, cwd=ROOT, check=True)
    folders = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert len(folders) > 40
    for folder in folders:
        state = restarted(folder / "journal", history)
        seen = {int(line) for line in (folder / "seen").read_text().split()}
        assert seen <= {number for _, number in state.scores}
        assert_goes_on(state, transactions[:60], expected[:60])
        assert not list((folder / "journal").glob(".*"))  # nothing half made is left


def test_the_disk_holds_no_more_after_many_segments(history, transactions, tmp_path):
    sizes = []
    with Journal(tmp_path, SEGMENT_BYTES) as journal:
        state = load_state(journal, history)
        for transaction in transactions:
            journal.append(score(state, transaction))
            make_snapshot(journal, history)
            sizes.append(sum(segment(tmp_path, number).stat().st_size for number in segments(tmp_path)))
            assert len(snapshots(tmp_path)) <= 2
            assert len(segments(tmp_path)) <= 2
    assert journal.number > 40
    assert max(sizes) < 2 * (SEGMENT_BYTES + 500)  # two segments and what a last line has too much


def test_the_history_is_read_at_the_first_start_only(folder, history, transactions, expected):
    assert_goes_on(restarted(folder, history.parent / "another.csv"), transactions, expected)


@pytest.mark.parametrize("damage", ["cut", "altered", "empty"])
def test_a_damaged_snapshot_is_not_used_and_the_one_before_it_is(
    folder, history, transactions, expected, caplog, damage
):
    newest = snapshot(folder, snapshots(folder)[-1])
    data = newest.read_bytes()
    newest.write_bytes({"cut": data[:-1], "altered": data[:-1] + b"?", "empty": b""}[damage])
    with caplog.at_level(logging.WARNING):
        state = restarted(folder, history)
    assert f"{newest} is not used: this snapshot" in caplog.text
    assert_goes_on(state, transactions, expected)


def test_without_any_sound_snapshot_the_segments_from_the_beginning_do(history, transactions, expected, tmp_path):
    with Journal(tmp_path) as journal:
        state = load_state(journal, history)
        for transaction in transactions[:300]:
            journal.append(score(state, transaction))
    for number in snapshots(tmp_path):
        snapshot(tmp_path, number).write_bytes(b"")
    assert_goes_on(restarted(tmp_path, history), transactions, expected)


def test_where_neither_reaches_back_an_error_names_the_file_and_the_way_on(folder, history):
    for number in snapshots(folder):
        snapshot(folder, number).write_bytes(b"")
    with pytest.raises(InvalidJournal, match=r"00000001\.log is missing.*Restore .* from a copy, or move it away"):
        restarted(folder, history)


def test_a_snapshot_of_another_spec_is_not_used(folder, history, caplog):
    for number in snapshots(folder):
        recovery.write_snapshot(snapshot(folder, number), recovery.LOG_ID, number, OnlineFeatures(BRIEF))
    with pytest.raises(InvalidJournal, match=r"00000001\.log is missing"):
        restarted(folder, history)
    assert f"is of the spec {BRIEF.hash[:12]}" in caplog.text


def test_a_segment_that_was_removed_by_hand_is_missed(folder, history):
    before, last = snapshots(folder)
    snapshot(folder, last).write_bytes(b"")
    segment(folder, before).unlink()
    with pytest.raises(InvalidJournal, match=f"{before:08d}.log is missing"):
        restarted(folder, history)


def test_a_newest_segment_that_was_removed_by_hand_is_missed_and_an_empty_one_goes_on_without(folder, history):
    newest = segment(folder, segments(folder)[-1])
    lost = {each.key for each in read_segment(newest)}
    newest.unlink()
    for _ in range(2):  # nothing was begun in its place
        with pytest.raises(InvalidJournal, match=f"{newest} is missing, .* touch {newest}"):
            restarted(folder, history)
    newest.touch()
    assert len(restarted(folder, history).scores) == 300 - len(lost)


def test_segments_that_were_all_removed_by_hand_are_missed(folder, history):
    for number in segments(folder):
        segment(folder, number).unlink()
    with pytest.raises(InvalidJournal, match=f"{snapshots(folder)[-1]:08d}.log is missing"):
        restarted(folder, history)


def test_a_repeated_score_is_the_one_that_was_given_although_the_batch_tables_have_changed(
    models, daily, transactions, tmp_path
):
    with Journal(tmp_path) as journal:
        scorer = Scorer(models, daily)
        first = scorer.score(transactions[0])
        journal.append(first)
    state = restarted(tmp_path, tmp_path / "none.csv", daily={})
    assert repr(state.earlier(transactions[0])) == repr(first._replace(duplicate=True))


def test_a_score_of_another_spec_gets_the_features_of_this_one(transactions, expected, tmp_path):
    with Journal(tmp_path) as journal:
        journal.append(expected[0]._replace(spec="another", features=(1.0,)))
    state = restarted(tmp_path, tmp_path / "none.csv")
    assert len(state.earlier(transactions[0]).features) == len(SPEC.names)


@pytest.fixture
def count():
    return Counter("snapshots", "by outcome", ["outcome"], registry=CollectorRegistry())


def test_while_the_service_runs_a_child_makes_the_snapshot_and_old_segments_go(
    history, transactions, expected, tmp_path, wait_until, count
):
    with Journal(tmp_path, 20_000) as journal:
        state = load_state(journal, history)
        keeper = SnapshotKeeper(journal, history, count)
        for first in range(0, 300, 100):
            number = journal.number
            for transaction in transactions[first : first + 100]:
                journal.append(score(state, transaction))
            assert journal.number > number
            wait_until(lambda: snapshots(tmp_path)[-1] == journal.number, 120)
        wait_until(lambda: count.labels("written")._value.get() == 3)
        keeper.stop()
        assert segments(tmp_path)[0] == snapshots(tmp_path)[0] > 1
    assert_goes_on(restarted(tmp_path, history), transactions, expected)


def test_a_snapshot_that_cannot_be_made_is_counted_logged_and_made_later(
    history, transactions, expected, tmp_path, wait_until, count, caplog, monkeypatch
):
    monkeypatch.setattr(snapshot_keeper, "RETRY_SECONDS", 0.1)
    with Journal(tmp_path, 20_000) as journal:
        state = load_state(journal, history)
        for transaction in transactions[:100]:
            journal.append(score(state, transaction))
        path, aside = segment(tmp_path, 1), tmp_path / "aside"
        path.rename(aside)
        keeper = SnapshotKeeper(journal, history, count)
        wait_until(lambda: count.labels("failed")._value.get() >= 1, 120)
        assert "no snapshot of the state was kept: " in caplog.text
        assert "00000001.log is missing" in caplog.text
        aside.rename(path)
        wait_until(lambda: count.labels("written")._value.get() == 1, 120)
        keeper.stop()
    assert_goes_on(restarted(tmp_path, history), transactions, expected)


def test_a_start_whose_snapshot_does_not_fit_goes_on_without(
    folder, history, transactions, expected, caplog, monkeypatch
):
    def full(*_):
        raise OSError(28, os.strerror(28))

    before = snapshots(folder)
    monkeypatch.setattr(recovery, "write_snapshot", full)
    state = restarted(folder, history)
    assert "No space left on device" in caplog.text
    assert snapshots(folder) == before
    assert_goes_on(state, transactions, expected)
