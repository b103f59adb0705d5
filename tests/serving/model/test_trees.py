"""The trees say what XGBoost says, to the last bit; those that do not are not compiled."""

from types import SimpleNamespace

import numpy as np
import pytest
import xgboost as xgb

from capstone_utils.features.spec import SPEC
from capstone_utils.serving.model import trees as trees_module
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.model.trees import Trees, UnequalTrees, probabilities


def test_margins_are_xgboost_s_bit_for_bit_with_missing_values_too(trained, split):
    booster = trained.score.booster
    rows = split.test[list(SPEC.names)].to_numpy(float)[:20_000]
    rows = np.where(np.random.default_rng(0).random(rows.shape) < 0.2, np.nan, rows)
    assert len(rows) > 15_000
    expected = booster.inplace_predict(rows, predict_type="margin")
    np.testing.assert_array_equal(Trees(booster).margins(rows), expected)


@pytest.mark.parametrize("size", [1, 2, 63, 64, 65, 200])
def test_a_payment_among_others_gets_the_margin_it_gets_alone(trained, size):
    trees = Trees(trained.score.booster)
    rows = trees.edges(size, seed=1)
    alone = [trees.margins(row[None])[0] for row in rows]
    np.testing.assert_array_equal(trees.margins(rows), alone)
    assert probabilities(trees.margins(rows)) == [probabilities(np.array([margin]))[0] for margin in alone]


@pytest.mark.parametrize("depth", [1, 3, 9])
@pytest.mark.parametrize("method", ["hist", "exact"])
def test_trees_of_any_depth_and_method_are_read(depth, method):
    generator = np.random.default_rng(depth)
    rows = generator.normal(size=(500, 4))
    rows[generator.random(rows.shape) < 0.1] = np.nan
    labels = np.nansum(rows, axis=1) > 0
    parameters = {"objective": "binary:logistic", "max_depth": depth, "tree_method": method}
    booster = xgb.train(parameters, xgb.DMatrix(rows, label=labels), 15)
    for each in (booster, booster[:4]):
        np.testing.assert_array_equal(Trees(each).margins(rows), each.inplace_predict(rows, predict_type="margin"))


@pytest.mark.parametrize("base_score", [0.003, 0.1, 0.37, 0.5, 0.8137, 0.999])
def test_any_base_score_is_read(base_score):
    rows = np.random.default_rng(0).normal(size=(500, 3))
    parameters = {"objective": "binary:logistic", "base_score": base_score}
    booster = xgb.train(parameters, xgb.DMatrix(rows, label=rows[:, 0] > 0), 5)
    np.testing.assert_array_equal(Trees(booster).margins(rows), booster.inplace_predict(rows, predict_type="margin"))


def test_the_edges_touch_both_sides_of_every_split(trained):
    trees = Trees(trained.score.booster)
    rows = trees.edges(20_000)
    _, _, feature, cut, *_ = trees._nodes
    for number in range(trees.features):
        values = set(rows[:, number].astype(np.float32).tolist())
        cuts = np.unique(cut[(feature == number) & np.isfinite(cut)])
        assert len(values) > len(cuts)
        assert np.isnan(rows[:, number]).any()


def test_trees_with_other_margins_are_not_compiled_and_xgboost_scores(models, monkeypatch):
    honest = trees_module._margins
    monkeypatch.setattr(trees_module, "_margins", lambda *parts: np.nextafter(honest(*parts), np.float32(9)))
    with pytest.raises(UnequalTrees, match=r"on 1000 of 1000 rows the margins .* XGBoost"):
        Trees(models.score.booster)
    classifier = Classifier(models)
    rows = np.zeros((1, len(SPEC.names)))
    assert not classifier.compiled
    assert classifier.classify(rows)[0].probability == pytest.approx(models.score.booster.inplace_predict(rows)[0])


def test_another_kind_of_booster_is_not_compiled():
    rows = np.random.default_rng(0).normal(size=(50, 2))
    booster = xgb.train({"objective": "reg:squarederror"}, xgb.DMatrix(rows, label=rows[:, 0] > 0), 2)
    with pytest.raises(UnequalTrees, match="reg:squarederror by gbtree"):
        Trees(booster)


def test_trees_that_do_not_count_alike_are_not_compiled(models):
    """As an older XGBoost writes them: a newer one knows no booster of this name."""
    written = models.score.booster.save_raw("json").replace(b'"name":"gbtree"', b'"name":"dart"')
    with pytest.raises(UnequalTrees, match="binary:logistic by dart"):
        Trees(SimpleNamespace(save_raw=lambda _: written))
