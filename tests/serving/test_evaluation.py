"""Judging: arithmetic that can be checked by hand."""

import numpy as np
import pandas as pd
import pytest

from capstone_utils.serving.evaluation import (
    REVIEW_COST,
    best_threshold,
    f1_interval,
    judge,
    judgement_table,
    recall_by_scenario,
)

TEST = pd.DataFrame(
    {
        "transaction_id": [1, 2, 3, 4, 5],
        "amount": [10.0, 20.0, 30.0, 40.0, 50.0],
        "is_fraud": [0.0, 1.0, 1.0, 0.0, 1.0],
    }
)
SCORES = np.array([0.1, 0.9, 0.8, 0.7, 0.2])


def test_the_threshold_is_the_score_with_the_highest_f1():
    assert best_threshold(TEST["is_fraud"].to_numpy(), SCORES) in (0.2, 0.8)
    assert best_threshold(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.6, 0.9])) == 0.6


def test_a_judgement_by_hand():
    judgement = judge(TEST, SCORES, 0.7)
    assert (judgement.alerts, judgement.precision, judgement.recall) == (3, 2 / 3, 2 / 3)
    assert judgement.f1 == pytest.approx(2 / 3)
    assert (judgement.fraud_stopped, judgement.fraud_missed) == (50.0, 50.0)
    assert judgement.saved == 50.0 - 3 * REVIEW_COST


def test_a_threshold_that_alerts_on_nothing_gives_zeros_not_errors():
    judgement = judge(TEST, SCORES, 2.0)
    assert (judgement.f1, judgement.precision, judgement.recall, judgement.alerts) == (0.0, 0.0, 0.0, 0)


def test_the_table_ends_with_the_best():
    table = judgement_table({"right": judge(TEST, TEST["is_fraud"].to_numpy(), 0.5), "worse": judge(TEST, -SCORES, 0)})
    assert list(table.index) == ["worse", "right"]


def test_recall_is_told_for_each_scenario_by_the_truth():
    truth = pd.DataFrame({"transaction_id": [5, 4, 3, 2, 1], "scenario": ["b", "legitimate", "a", "a", "legitimate"]})
    table = recall_by_scenario(TEST, SCORES >= 0.85, truth)
    assert table.loc["a"].tolist() == [2, 0.5]
    assert table.loc["b"].tolist() == [1, 0.0]


def test_the_interval_holds_f1_and_narrows_with_more_customers():
    def width(customers):
        generator = np.random.default_rng(1)
        fraud = np.repeat(generator.random(customers) < 0.1, 4)
        alerts = np.where(generator.random(len(fraud)) < 0.1, ~fraud, fraud)
        test = pd.DataFrame({"user_id": np.repeat(np.arange(customers), 4), "is_fraud": fraud * 1.0, "amount": 1.0})
        low, high = f1_interval(test, alerts)
        assert low < judge(test, alerts * 1.0, 0.5).f1 < high
        return high - low

    assert width(2000) < 0.6 * width(200)
