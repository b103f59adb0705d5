"""The join says at every moment what a naive one says, at every order of arrival, and is kept whole."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capstone_utils.ingestion.labels import SOURCES, Label
from capstone_utils.monitoring.feedback.records import BILLION, Origin, ScoreRow
from capstone_utils.monitoring.feedback.store import RETENTION_DAYS, FeedbackStore
from capstone_utils.transaction import DAY_US
from tests.monitoring.feedback.naive import Naive

START = 1_767_571_200_000_000
RANK = 2  # of the clock, in these small streams
LOGS = {"scores": "1", "labels": "2"}
MODEL = Origin("abc", "stream", "model")

times = st.integers(0, 40).map(lambda day: START + day * DAY_US)
origins = st.sampled_from([MODEL, Origin("abc", "http", "fallback"), Origin("def", "stream", "model")])
scores = st.builds(
    ScoreRow,
    st.integers(0, 9),
    st.integers(0, 1),
    times,
    st.integers(1, 5),
    st.sampled_from([0, BILLION // 100, BILLION // 2, BILLION]),
    st.booleans(),
    st.sampled_from(["Books", "Gift Cards"]),
    origins,
)
labels = st.builds(
    lambda who, user, fraud, time_us, days, source: Label(who, user, fraud, time_us, time_us + days * DAY_US, source),
    st.integers(0, 9),
    st.integers(0, 1),
    st.booleans(),
    times,
    st.integers(0, 12),
    st.sampled_from(SOURCES),
)
messages = st.lists(st.one_of(scores, labels), max_size=30)


def score(number, day=0.0, alert=False, **other):
    row = ScoreRow(number, 7, START + int(day * DAY_US), 1_000, BILLION // 10, alert, "Books", MODEL)
    return row._replace(**other)


def label(number, day=0.0, after=1.0, is_fraud=True, source="customer"):
    time_us = START + int(day * DAY_US)
    return Label(number, 7, is_fraud, time_us, time_us + int(after * DAY_US), source)


def add(store, batch, offsets=(), watch=None):
    rows = [each for each in batch if isinstance(each, ScoreRow)]
    return store.add(rows, [each for each in batch if isinstance(each, Label)], dict(offsets), watch)


def take(store, reports):
    """What the drift watch is given with a batch."""
    if store.clock() is not None:
        reports += store.take_reports(store.clock(), "abc")
    return ""


def agrees(store, naive):
    """Both say the same as of now."""
    assert store.clock() == naive.clock
    if naive.clock is None:
        return
    week = naive.clock - 7 * DAY_US
    for window in ((naive.clock - 40 * DAY_US, week), (week, naive.clock + 1)):
        assert sorted(store.cells(naive.clock, *window), key=str) == sorted(naive.cells(naive.clock, *window), key=str)
    assert store.waiting_labels(naive.clock) == naive.waiting(naive.clock)


@settings(max_examples=60, deadline=None)
@given(messages, st.randoms(), st.integers(1, 4))
def test_at_every_prefix_and_every_order_the_join_is_the_naive_one(arriving, random, size):
    for _ in range(2):
        random.shuffle(arriving)
        taken = set()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "joined.sqlite"
            with ExitStack() as opened:  # closed, too, where hypothesis gives an example up
                store = opened.enter_context(closing(FeedbackStore(path, RANK)))
                for first in range(0, len(arriving), size):
                    reports = []
                    add(store, arriving[first : first + size], watch=partial(take, store, reports))
                    naive = Naive(arriving[: first + size], RANK)
                    agrees(store, naive)
                    known = [] if naive.clock is None else naive.reported(naive.clock, "abc")
                    assert reports == [report for key, report in known if key not in taken], "each once"
                    taken |= {key for key, _ in known}
                    if random.random() < 0.2:
                        opened.close()
                        store = opened.enter_context(closing(FeedbackStore(path, RANK)))


@pytest.fixture
def store(tmp_path):
    opened = FeedbackStore(tmp_path / "joined.sqlite", RANK)
    yield opened
    opened.close()


def outcomes(store):
    """Payments by label, of all that the store has."""
    return {cell.is_fraud: cell.payments for cell in store.cells(store.clock(), 0, store.clock() + 1)}


def test_the_later_known_label_wins_and_is_counted_as_a_contradiction(store):
    add(store, [score(1), score(2, 20), score(3, 20)])
    assert add(store, [label(1)])["label_contradicted"] == 0
    counted = add(store, [label(1, after=3, is_fraud=False, source="analyst")])
    assert counted["label_contradicted"] == 1
    assert outcomes(store) == {False: 1, None: 2}


def test_a_label_that_comes_again_changes_nothing_and_is_counted(store):
    add(store, [score(1), score(2, 20), score(3, 20), label(1)])
    counted = add(store, [label(1), label(1)])
    assert (counted["label"], counted["label_duplicate"]) == (0, 2)
    assert outcomes(store) == {True: 1, None: 2}


def test_a_score_that_comes_again_counts_once(store):
    counted = add(store, [score(1), score(1), score(2, 1)])
    assert (counted["score"], counted["score_duplicate"]) == (2, 1)
    assert outcomes(store) == {None: 1}, "payment 2 makes the clock, payment 1 is the one before it"


def test_a_label_after_its_payment_was_settled_corrects_it_and_is_counted_as_late(store):
    counted = add(store, [score(1), score(2, 20), score(3, 20), label(1, after=8)])
    assert (counted["label_late"], counted["label"]) == (1, 1)
    assert outcomes(store) == {True: 1, None: 2}


def test_a_label_before_its_score_waits_for_it(store):
    add(store, [score(2, 20), score(3, 20), label(1)])
    assert store.waiting_labels(store.clock()) == {"score": 1, "clock": 0}
    add(store, [score(1)])
    assert store.waiting_labels(store.clock()) == {"score": 0, "clock": 0}
    assert outcomes(store) == {True: 1, None: 2}


def test_a_label_that_is_known_later_than_the_clock_is_not_known_yet(store):
    add(store, [score(1), score(2, 1), score(3, 1), label(1, after=2)])
    assert outcomes(store) == {None: 3}
    assert store.waiting_labels(store.clock()) == {"score": 0, "clock": 1}
    add(store, [score(4, 3), score(5, 3)])
    assert outcomes(store) == {None: 4, True: 1}


def test_a_label_of_a_payment_that_was_never_scored_goes_with_its_time_and_is_counted(store):
    assert add(store, [score(1), score(2), label(9)])["label_unknown"] == 0
    counted = add(store, [score(3, RETENTION_DAYS + 1), score(4, RETENTION_DAYS + 1)])
    assert counted["label_unknown"] == 1
    assert add(store, [label(8)])["label_unknown"] == 1, "one of a payment that is no longer kept"
    assert outcomes(store) == {None: 2}


def test_one_payment_from_the_future_settles_nothing(tmp_path):
    store = FeedbackStore(tmp_path / "joined.sqlite")
    add(store, [score(number, number / 100) for number in range(30)])
    before = store.clock()
    add(store, [score(99, 300)])
    assert store.clock() - before < DAY_US
    assert outcomes(store) != {}
    store.close()


def test_beyond_its_room_the_oldest_go_and_are_counted(tmp_path):
    store = FeedbackStore(tmp_path / "joined.sqlite", RANK, most_rows=10)
    counted = add(store, [score(number, number / 10) for number in range(25)])
    assert counted["evicted"] == 15
    assert store.first_score() == score(15, 1.5).event_time_us
    store.close()


def test_rows_and_offsets_are_kept_together_or_not_at_all(store, tmp_path):
    store.offsets(LOGS)
    add(store, [score(1), score(2)], {("scores", 0): 2}.items())
    with pytest.raises(sqlite3.Error):
        store.add([score(3, 5), score(4, 5)], [], {("scores", 0): object()})
    assert store.offsets(LOGS) == {("scores", 0): 2}
    assert store.clock() == START
    store.close()
    again = FeedbackStore(tmp_path / "joined.sqlite", RANK)
    assert (again.offsets(LOGS), again.clock()) == ({("scores", 0): 2}, START)
    again.close()


def test_topics_that_were_made_anew_are_joined_from_their_beginning(store):
    store.offsets(LOGS)
    add(store, [score(1), score(2)], {("scores", 0): 2}.items())
    assert store.offsets(LOGS | {"labels": "3"}) == {}
    assert store.clock() is None


@pytest.mark.parametrize("spoil", ["garbage", "PRAGMA user_version = 99"])
def test_a_file_that_is_none_of_ours_is_made_anew(tmp_path, spoil, caplog):
    path = tmp_path / "joined.sqlite"
    if spoil == "garbage":
        path.write_bytes(b"garbage" * 1000)
    else:
        with sqlite3.connect(path) as file:
            file.execute(spoil)
        file.close()
    store = FeedbackStore(path, RANK)
    assert store.offsets(LOGS) == {}
    assert "joining from the beginning" in caplog.text
    store.close()
