"""A model whose trees cannot be compiled is scored by XGBoost itself, with the same verdicts, and says so."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import xgboost as xgb

from capstone_utils.features.spec import SPEC
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.model.store import InvalidModel
from capstone_utils.serving.model.trees import Trees, XGBoostMargins, probabilities
from capstone_utils.serving.service.metrics import ServiceMetrics
from capstone_utils.serving.worker.metrics import WorkerMetrics


class LaterBooster(xgb.Booster):
    """A booster of an XGBoost that writes its JSON in another way."""

    def save_raw(self, raw_format="ubj"):
        model = json.loads(super().save_raw("json"))
        self.change(model["learner"])
        return bytearray(json.dumps(model).encode())


def base_score_as_a_list(learner):
    learner["learner_model_param"]["base_score"] = [0.5]


def base_score_in_words(learner):
    learner["learner_model_param"]["base_score"] = "one half"


def renamed_key(learner):
    for tree in learner["gradient_booster"]["model"]["trees"]:
        tree["left"] = tree.pop("left_children")


def other_nodes(learner):
    for tree in learner["gradient_booster"]["model"]["trees"]:
        tree["left_children"] = [[number, 0] for number in tree["left_children"]]


def children_of_another_tree(learner):
    for tree in learner["gradient_booster"]["model"]["trees"]:
        for side in ("left_children", "right_children"):
            tree[side] = [number + 10**6 if number >= 0 else number for number in tree[side]]


def children_before_their_parents(learner):
    for tree in learner["gradient_booster"]["model"]["trees"]:
        tree["left_children"] = [0 if number >= 0 else number for number in tree["left_children"]]
        tree["right_children"] = [1 if number >= 0 else number for number in tree["right_children"]]


def features_that_are_not_there(learner):
    for tree in learner["gradient_booster"]["model"]["trees"]:
        tree["split_indices"] = [number + 10**6 for number in tree["split_indices"]]


def splits_of_other_values(learner):
    for tree in learner["gradient_booster"]["model"]["trees"]:
        tree["split_conditions"] = [value * 2 for value in tree["split_conditions"]]


def no_trees(learner):
    learner["gradient_booster"]["model"]["trees"] = []


LAYOUTS = [
    base_score_as_a_list,
    base_score_in_words,
    renamed_key,
    other_nodes,
    children_of_another_tree,
    children_before_their_parents,
    features_that_are_not_there,
    splits_of_other_values,
    no_trees,
]


@pytest.fixture
def later(models):
    """A function: the same models, the large one as a later XGBoost would write it."""

    def make(change):
        booster = LaterBooster(model_file=models.score.booster.save_raw("json"))
        booster.change = change
        booster.set_param({"nthread": 1})
        return replace(models, score=models.score._replace(booster=booster))

    return make


@pytest.fixture
def rows(models):
    return Trees(models.score.booster).edges(200, seed=7)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_unknown_layout_gets_the_same_verdicts_and_a_warning(models, later, rows, caplog, layout):
    with caplog.at_level(logging.WARNING):
        classifier = Classifier(later(layout))
    compiled = Classifier(models)
    assert (classifier.compiled, compiled.compiled) == (False, True)
    (message,) = caplog.messages
    assert "XGBoost itself computes the margins of the model 'score'" in message
    verdicts = classifier.classify(rows)
    assert verdicts == compiled.classify(rows)
    assert verdicts == [verdict for row in rows for verdict in classifier.classify(row[None])]
    assert classifier.classify_brief([1.0] * 5) == compiled.classify_brief([1.0] * 5)


def test_xgboost_s_margins_are_the_compiled_ones_bit_for_bit(models, rows):
    slow, fast = XGBoostMargins(models.score.booster), Trees(models.score.booster)
    np.testing.assert_array_equal(slow.margins(rows), fast.margins(rows))
    np.testing.assert_array_equal(slow.margins(rows[:1].tolist()), fast.margins(rows[:1].tolist()))
    assert probabilities(slow.margins(rows)) == probabilities(fast.margins(rows))


def trained(models, **parameters):
    """Models whose large one is another kind of booster, of the spec's features."""
    generator = np.random.default_rng(0)
    names = list(SPEC.names)
    table = generator.normal(size=(200, len(names)))
    data = xgb.DMatrix(table, label=table[:, 0] > 0, feature_names=names)
    booster = xgb.train({"nthread": 1} | parameters, data, 3)
    return replace(models, score=models.score._replace(booster=booster))


@pytest.mark.filterwarnings("ignore:.*booster=dart")  # of XGBoost 3.4, which makes trees of it
def test_a_dart_of_log_odds_is_served_as_xgboost_would(models):
    darts = trained(models, objective="binary:logistic", booster="dart", rate_drop=0.5)
    rows = np.zeros((1, len(SPEC.names)))
    served = Classifier(darts).classify(rows)[0].probability
    assert served == pytest.approx(darts.score.booster.inplace_predict(rows)[0])


@pytest.mark.parametrize(
    "parameters",
    [{"objective": "reg:squarederror"}, {"objective": "multi:softprob", "num_class": 2}, {"objective": "binary:hinge"}],
)
def test_a_booster_without_log_odds_is_refused(models, parameters):
    with pytest.raises(InvalidModel, match=r"the model 'score' cannot be served: .* train it as binary:logistic"):
        Classifier(trained(models, **parameters))


@pytest.mark.parametrize(("make", "door"), [(ServiceMetrics, "http"), (WorkerMetrics, "stream")])
def test_the_metrics_of_both_doors_say_which_way_scores(models, later, make, door):
    metrics = make()
    for classifier, value in ((Classifier(later(renamed_key)), 0), (Classifier(models), 1)):
        metrics.decides(classifier)
        assert metrics.registry.get_sample_value("model_compiled", {"door": door}) == value
