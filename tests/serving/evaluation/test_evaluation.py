"""Judging: arithmetic that can be checked by hand."""

import numpy as np
import pandas as pd
import pytest

from capstone_utils.serving.evaluation.costs import Costs
from capstone_utils.serving.evaluation.evaluation import calibration_table, evaluate, evaluation_table
from capstone_utils.serving.evaluation.intervals import bootstrap, f1_interval
from capstone_utils.serving.evaluation.slices import recall_by_scenario, recall_by_segment, user_segments
from capstone_utils.serving.training.thresholds import best_threshold, steady_threshold

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
    evaluation = evaluate(TEST, SCORES, 0.7, Costs(review=5.0, insult=11.0))
    assert (evaluation.alerts, evaluation.precision, evaluation.recall) == (3, 2 / 3, 2 / 3)
    assert evaluation.f1 == pytest.approx(2 / 3)
    assert (evaluation.fraud_stopped, evaluation.fraud_missed) == (50.0, 50.0)
    assert evaluation.saved == 50.0 - 3 * 5.0 - 1 * 11.0
    assert evaluation.brier == pytest.approx((0.1**2 + 0.1**2 + 0.2**2 + 0.7**2 + 0.8**2) / 5)


def test_a_threshold_that_alerts_on_nothing_gives_zeros_not_errors():
    evaluation = evaluate(TEST, SCORES, 2.0)
    assert (evaluation.f1, evaluation.precision, evaluation.recall, evaluation.alerts) == (0.0, 0.0, 0.0, 0)


def test_the_table_ends_with_the_best():
    table = evaluation_table(
        {"right": evaluate(TEST, TEST["is_fraud"].to_numpy(), 0.5), "worse": evaluate(TEST, -SCORES, 0)}
    )
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
        assert low < evaluate(test, alerts * 1.0, 0.5).f1 < high
        return high - low

    assert width(2000) < 0.6 * width(200)


def test_the_steady_threshold_is_half_the_highest_f1():
    labels, scores = np.array([0, 1, 0, 1]), np.array([0.1, 0.6, 0.7, 0.9])
    assert steady_threshold(labels, scores) == pytest.approx(0.8 / 2)  # all from 0.6 on: 2 of 3 are right, none missed


def test_where_probabilities_are_calibrated_the_steady_threshold_is_the_best_one():
    generator = np.random.default_rng(0)
    probabilities = generator.beta(0.3, 3.0, 200_000)
    labels = generator.random(200_000) < probabilities
    assert steady_threshold(labels, probabilities) == pytest.approx(best_threshold(labels, probabilities), abs=0.03)


def test_calibration_compares_the_mean_score_of_a_bin_with_its_share_of_fraud():
    table = calibration_table(np.array([0, 1, 1, 0]), np.array([0.3, 0.35, 0.95, 0.001]))
    assert table["payments"].tolist() == [1, 2, 1]
    assert table["mean_score"].tolist() == pytest.approx([0.001, 0.325, 0.95])
    assert table["share_of_fraud"].tolist() == [0.0, 0.5, 1.0]


def test_the_bootstrap_holds_every_figure_within_its_interval():
    generator = np.random.default_rng(1)
    fraud = np.repeat(generator.random(300) < 0.2, 3)
    scores = np.where(generator.random(900) < 0.1, ~fraud, fraud) * 0.5 + generator.random(900) * 0.4
    test = pd.DataFrame({"user_id": np.repeat(np.arange(300), 3), "is_fraud": fraud * 1.0})
    table = bootstrap(test, scores > 0.45, scores)
    assert list(table.index) == ["f1", "precision", "recall", "average_precision"]
    assert (table["low"] < table["value"]).all()
    assert (table["value"] < table["high"]).all()


def test_segments_are_thirds_of_the_customers_and_each_has_its_own_recall():
    history = pd.DataFrame(
        {"user_id": [1, 1, 1, 2, 2, 3], "amount": [5.0, 5.0, 5.0, 20.0, 20.0, 90.0]},
    )
    segments = user_segments(history)
    assert segments["spending"].tolist() == ["low", "middle", "high"]
    assert segments["activity"].tolist() == ["high", "middle", "low"]
    test = pd.DataFrame({"user_id": [1, 1, 3, 3, 99], "is_fraud": [1.0, 0.0, 1.0, 1.0, 1.0]})
    table = recall_by_segment(test, np.array([True, True, True, False, True]), segments)
    assert table.loc[("spending", "low")].tolist() == [2, 1, 1.0, 10_000.0]
    assert table.loc[("spending", "high"), ["payments", "fraud", "recall"]].tolist() == [2, 2, 0.5]
    assert np.isnan(table.loc[("activity", "middle"), "recall"])
