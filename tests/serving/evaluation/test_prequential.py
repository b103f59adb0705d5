"""Week after week: a model trained anew learns a change that a model trained once never sees."""

import numpy as np
import pandas as pd
import pytest

from capstone_utils.ingestion.labels import LABEL_DELAY_DAYS
from capstone_utils.serving.evaluation.prequential import prequential
from capstone_utils.serving.training.splits import DAY_SECONDS, weekly_folds

START = 20_000 * DAY_SECONDS
CHANGE = 42  # the first day of the second test week


@pytest.fixture(scope="module")
def weeks():
    """Six test weeks of a stream with 96 payments a day; fraud shows in `old` before CHANGE and in `new` from then on.

    Both are noisy: were one tree enough, training would stop before its probabilities reach any threshold.

    With one week each for training and validation, day by day:

        fold 0   train 7-14    validation 21-28   test 35-42   all before the change
        fold 1   train 14-21   validation 28-35   test 42-49   nobody knows of the change yet
        fold 5   train 42-49   validation 56-63   test 70-77   all after the change
    """
    rows = np.arange(85 * 96)
    fraud = (rows % 5 == 0).astype(float)
    noise = np.random.default_rng(0).normal(size=(2, len(rows)))
    frame = pd.DataFrame(
        {
            "transaction_id": rows,
            "timestamp": START + rows * 900.0,
            "amount": 10.0,
            "old": noise[0] + 5 * fraud * (rows < CHANGE * 96),
            "new": noise[1] + 5 * fraud * (rows >= CHANGE * 96),
            "is_fraud": fraud,
        }
    )
    frame["label_known_at"] = frame["timestamp"] + LABEL_DELAY_DAYS * DAY_SECONDS
    return prequential(weekly_folds(frame, train_days=7), ["old", "new"])


def test_there_is_a_row_for_each_test_week_with_its_fraud(weeks):
    first = pd.Timestamp(START, unit="s") + pd.Timedelta(days=35)
    assert list(weeks.index) == [(first + pd.Timedelta(weeks=week)).date() for week in range(6)]
    assert set(weeks["fraud"]) <= {134, 135}


def test_in_the_first_week_both_models_are_the_same_one(weeks):
    assert weeks["trained anew"].iloc[0] == weeks["trained once"].iloc[0] > 0.8


def test_only_the_model_trained_anew_learns_the_change_and_only_when_its_labels_have_arrived(weeks):
    assert (weeks.iloc[1] < 0.5)[["trained anew", "trained once"]].all()
    assert (weeks["trained once"].iloc[1:] < 0.5).all()
    assert weeks["trained anew"].iloc[-1] > 0.8
