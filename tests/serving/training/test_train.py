"""Training: it learns what is there, nothing where nothing is, and the same thing twice."""

import sys

import numpy as np
import pandas as pd
import pytest

from capstone_utils.serving.evaluation.baselines import (
    lightgbm_scores,
    logistic_scores,
    random_scores,
    single_cut_f1,
    stump_scores,
)
from capstone_utils.serving.evaluation.evaluation import evaluate
from capstone_utils.serving.training.search import SPACE, search
from capstone_utils.serving.training.splits import Split
from capstone_utils.serving.training.thresholds import best_threshold
from capstone_utils.serving.training.train import PARAMETERS, predict, train_model, train_xgboost

FEATURES = ["amount", "count"]


def part(seed):
    generator = np.random.default_rng(seed)
    count = generator.poisson(2.0, 6000).astype(float)
    amount = generator.lognormal(3, 1, 6000)
    fraud = (count >= 5) & (amount < 20)
    return pd.DataFrame(
        {"amount": amount, "count": np.where(generator.random(6000) < 0.05, np.nan, count), "is_fraud": fraud * 1.0}
    )


@pytest.fixture(scope="module")
def split():
    train, validation = part(1), part(2)
    return Split(train, validation, part(3), pd.concat([train, part(4), validation]))


def f1_of(split, validation, test):
    return evaluate(split.test, test, best_threshold(split.validation["is_fraud"], validation)).f1


def test_xgboost_finds_a_rule_of_two_conditions_that_a_stump_cannot(split):
    booster = train_xgboost(split, FEATURES)
    ours = f1_of(split, predict(booster, split.validation), predict(booster, split.test))
    assert ours > 0.85
    assert f1_of(split, *stump_scores(split, FEATURES)) < ours - 0.2


def test_the_booster_is_cut_to_its_best_round(split):
    booster = train_xgboost(split, FEATURES)
    assert booster.num_boosted_rounds() < 400
    assert booster.feature_names == FEATURES


def test_the_same_seed_gives_the_same_model(split):
    first, second = (train_xgboost(split, FEATURES, seed=3).save_raw("json") for _ in range(2))
    assert first == second


def test_shuffled_labels_teach_nothing(split):
    generator = np.random.default_rng(0)
    parts = [each.assign(is_fraud=generator.permutation(each["is_fraud"])) for each in (split.train, split.validation)]
    booster = train_xgboost(Split(*parts, split.test, pd.concat(parts)), FEATURES)
    assert f1_of(split, predict(booster, parts[1]), predict(booster, split.test)) < 0.15


@pytest.mark.parametrize(
    "scores", [random_scores, lambda s: logistic_scores(s, FEATURES), lambda s: lightgbm_scores(s, FEATURES)]
)
def test_a_baseline_scores_every_row(split, scores):
    pair = scores(split)
    if pair is None:
        pytest.skip("LightGBM cannot be loaded here")
    validation, test = pair
    assert (len(validation), len(test)) == (len(split.validation), len(split.test))
    assert np.isfinite(test).all()


@pytest.mark.parametrize(
    "failure", ['OSError("libgomp.so.1: cannot open shared object file")', 'ModuleNotFoundError("no lightgbm")']
)
def test_where_lightgbm_cannot_be_loaded_its_row_is_left_out_with_a_sentence(failure, tmp_path, monkeypatch, capsys):
    (tmp_path / "lightgbm.py").write_text(f"raise {failure}")
    monkeypatch.delitem(sys.modules, "lightgbm", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert lightgbm_scores(None, FEATURES) is None
    said = capsys.readouterr().out
    assert said.startswith("no row for LightGBM, which cannot be loaded here: ")
    assert failure.split('"')[1] in said


def test_a_feature_that_the_frame_lacks_counts_as_missing(split):
    booster = train_xgboost(split, FEATURES)
    with_missing = split.test.assign(count=np.nan)
    np.testing.assert_array_equal(predict(booster, split.test[["amount"]]), predict(booster, with_missing))


def test_a_detective_learns_at_last_from_all_that_is_known_and_keeps_the_threshold(split):
    trained = train_model(split, FEATURES)
    before, after = trained.before.booster, trained.model.booster
    assert after.num_boosted_rounds() == round(before.num_boosted_rounds() * len(split.known) / len(split.train))
    assert trained.model.threshold == trained.before.threshold
    reached = best_threshold(split.validation["is_fraud"], predict(before, split.validation))
    best = evaluate(split.validation, predict(before, split.validation), reached).f1
    assert trained.model.threshold == pytest.approx(best / 2)


def test_the_best_single_cut_looks_at_both_sides_and_takes_the_cut_from_validation():
    def weeks(amounts, fraud):
        return pd.DataFrame({"amount": amounts, "is_fraud": fraud})

    validation = weeks([1.0, 2.0, 30.0, 40.0, np.nan], [1.0, 1.0, 0.0, 0.0, 0.0])
    test = weeks([1.0, 2.0, 2.5, 40.0, np.nan], [1.0, 1.0, 1.0, 0.0, 0.0])
    split = Split(validation, validation, test, validation)
    assert single_cut_f1(split, "amount") == pytest.approx(2 * 2 / (2 + 3))  # 2.5 lies beyond the cut at 2


def test_the_search_begins_with_the_chosen_parameters_and_is_the_same_twice(split):
    table = search(split, FEATURES, trials=3, seed=1)
    assert table.loc[0, list(SPACE)].to_dict() == {name: PARAMETERS[name] for name in SPACE}
    assert table["average_precision"].is_monotonic_decreasing
    pd.testing.assert_frame_equal(table, search(split, FEATURES, trials=3, seed=1))
