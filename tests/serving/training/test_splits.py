"""Time splits: nothing shuffled, nothing from the future, no label before it has arrived."""

import numpy as np
import pandas as pd
import pytest

from capstone_utils.ingestion.labels import LABEL_DELAY_DAYS
from capstone_utils.serving.training.splits import InvalidSplit, first_days, split_by_time, weekly_folds
from capstone_utils.transaction import DAY_SECONDS

START = 20_000 * DAY_SECONDS


@pytest.fixture
def frame():
    """One transaction an hour for 64 days, labels known exactly a week later."""
    times = START + np.arange(64 * 24) * 3600.0
    return pd.DataFrame(
        {
            "transaction_id": np.arange(len(times)),
            "timestamp": times,
            "is_fraud": (np.arange(len(times)) % 50 == 0).astype(float),
            "label_known_at": times + LABEL_DELAY_DAYS * DAY_SECONDS,
        }
    )


def days_of(part):
    return (part["timestamp"].min() - START) / DAY_SECONDS, (part["timestamp"].max() + 3600 - START) / DAY_SECONDS


def test_the_parts_follow_each_other_with_the_label_delay_between_them(frame):
    split = split_by_time(frame)
    assert [days_of(part) for part in (split.train, split.validation, split.test)] == [(7, 28), (35, 42), (49, 56)]


def test_the_first_days_are_those_of_the_split(frame):
    for days in ({}, {"warm_up_days": 5, "train_days": 14, "validation_days": 10}):
        split = split_by_time(frame, **days)
        assert [days_of(part)[0] for part in (split.train, split.validation, split.test)] == first_days(**days).tolist()


def test_labels_of_each_part_had_arrived_when_it_is_used(frame):
    split = split_by_time(frame)
    assert split.train["label_known_at"].max() <= split.validation["timestamp"].min()
    assert split.validation["label_known_at"].max() <= split.test["timestamp"].min()


def test_a_permuted_frame_is_refused(frame):
    with pytest.raises(InvalidSplit, match="not in time order"):
        split_by_time(frame.sample(frac=1, random_state=0))


def test_a_label_that_had_not_arrived_is_refused_and_named(frame):
    frame.loc[300, "label_known_at"] = START + 36 * DAY_SECONDS
    with pytest.raises(InvalidSplit, match=r"1 labels had not arrived .* transaction_id=300"):
        split_by_time(frame)


def test_an_unknown_label_is_refused(frame):
    frame.loc[900, ["is_fraud", "label_known_at"]] = np.nan
    with pytest.raises(InvalidSplit, match="transaction_id=900"):
        split_by_time(frame)


def test_a_stream_that_is_too_short_is_refused_with_what_it_needs(frame):
    with pytest.raises(InvalidSplit, match="63 days are too few: this split needs 64"):
        split_by_time(frame.iloc[: 63 * 24])


def test_periods_tell_the_size_of_each_part(frame):
    periods = split_by_time(frame).periods()
    assert periods["transactions"].tolist() == [21 * 24, 7 * 24, 7 * 24]


def test_known_is_all_from_training_to_validation_and_its_labels_had_arrived_before_the_test(frame):
    split = split_by_time(frame)
    assert days_of(split.known) == (7, 42)
    assert days_of(split.after_training) == (28, 42)
    assert split.known["label_known_at"].max() <= split.test["timestamp"].min()


def test_a_label_in_the_gap_that_arrives_after_the_test_began_is_refused(frame):
    in_gap = 30 * 24
    frame.loc[in_gap, "label_known_at"] = START + 50 * DAY_SECONDS
    with pytest.raises(InvalidSplit, match=f"transaction_id={in_gap}"):
        split_by_time(frame)


def test_weekly_folds_move_by_a_week_until_labels_are_missing(frame):
    folds = list(weekly_folds(frame, train_days=14, validation_days=7, test_days=7))
    assert [days_of(fold.test) for fold in folds] == [(42, 49), (49, 56)]
    assert [days_of(fold.train)[0] for fold in folds] == [7, 14]


def test_weekly_folds_of_too_short_a_frame_are_refused(frame):
    with pytest.raises(InvalidSplit, match="days are too few"):
        next(weekly_folds(frame.iloc[: 40 * 24]))
