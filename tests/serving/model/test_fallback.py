"""The anomaly score is what the shares of honest payments say; the fallback adds it where the model is not sure."""

import numpy as np
import pytest

from capstone_utils.features.spec import SPEC
from capstone_utils.serving.evaluation.leave_scenario_out import leave_out, without_scenario
from capstone_utils.serving.model.anomaly import AnomalyDetector, fit_anomaly_detector
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.model.fallback import InvalidFallback, parse_fallback
from capstone_utils.serving.training.fit_fallback import ALERT_SHARE


def test_a_surprise_by_hand():
    honest = np.arange(1.0, 10.0)[:, None]  # 1 to 9: five is the middle
    anomaly = fit_anomaly_detector(["amount"], honest)
    share = np.array([1 + 1, 5 + 1, 1 + 1, 0 + 1, 0 + 1]) / (9 + 2)  # as far out or farther, on the value's side
    found = anomaly.score(np.array([[1.0], [5.0], [9.0], [9.5], [0.5]]))
    np.testing.assert_allclose(found, -np.log(share))


def test_between_two_cuts_the_lower_one_counts_and_missing_values_surprise_nobody():
    anomaly = AnomalyDetector(
        ["a", "b"], [np.array([0.0, 10.0]), np.array([])], [np.array([1.0, 2.0]), np.array([])], 5.0
    )
    rows = np.array([[0.0, 7.0], [9.9, 7.0], [10.0, np.nan], [-0.1, 0.0], [np.nan, 1.0]])
    np.testing.assert_array_equal(anomaly.score(rows), [1.0, 1.0, 2.0, 5.0, 0.0])
    assert anomaly.parts([10.0, 3.0]) == {"a": 2.0, "b": 0.0}


@pytest.mark.parametrize("draw", ["normal", "poisson"])
def test_steps_are_close_to_the_true_shares(draw):
    values = np.abs(getattr(np.random.default_rng(0), draw)(3.0, size=20_000))
    anomaly = fit_anomaly_detector(["x"], values[:, None])
    ordered = np.sort(values)
    as_low = np.searchsorted(ordered, values, side="right")
    as_high = len(values) - np.searchsorted(ordered, values, side="left")
    exact = -np.log((np.minimum(as_low, as_high) + 1) / (len(values) + 2))
    assert np.abs(anomaly.score(values[:, None]) - exact).max() < 0.7  # at most a step
    assert sum(map(len, anomaly.cuts)) < 100


def test_plain_values_make_the_same_surprise_again():
    anomaly = fit_anomaly_detector(["x", "y"], np.random.default_rng(0).normal(size=(500, 2)))
    again = AnomalyDetector.from_dict(anomaly.to_dict())
    rows = np.random.default_rng(1).normal(size=(50, 2)) * 4
    np.testing.assert_array_equal(again.score(rows), anomaly.score(rows))


def test_the_fallback_adds_about_the_alerts_it_is_allowed(trained, split):
    rows = split.test[list(SPEC.names)].to_numpy(float)
    added = sum(verdict.by_fallback for verdict in Classifier(trained).classify(rows))
    assert 0 < added <= 5 * ALERT_SHARE * len(rows)


def test_it_never_takes_an_alert_back_and_never_changes_a_probability(trained, split):
    rows = split.test[list(SPEC.names)].to_numpy(float)
    with_it, without = (
        Classifier(trained).classify(rows),
        Classifier(type(trained)(trained.score, trained.predict)).classify(rows),
    )
    assert [verdict.probability for verdict in with_it] == [verdict.probability for verdict in without]
    for verdict, plain in zip(with_it, without, strict=True):
        assert verdict.fraud == (plain.fraud or verdict.by_fallback)
        assert not (verdict.by_fallback and plain.fraud)


def test_the_less_sure_the_model_the_less_surprise_it_takes(trained, split):
    rows = split.test[list(SPEC.names)].to_numpy(float)
    anomaly = trained.fallback.anomaly.score(rows)
    needed = [
        anomaly[trained.fallback.decide(rows, np.full(len(rows), margin, np.float32))].min()
        for margin in (-9.0, -6.0, -3.0)
    ]
    assert needed[0] > needed[1] > needed[2]


def test_a_scenario_that_nobody_had_seen_is_caught_more_often_at_equal_alerts(world):
    found = leave_out(world, "card_testing")
    assert found.recall_alone < 0.1
    assert found.gain > 0.3
    assert found.f1 > found.f1_alone


def test_left_out_means_that_none_of_it_is_there_before_the_day(world):
    stream = without_scenario(world, "cloned_card", 49)
    begin_us = world.config.start_us() + 49 * 86_400_000_000
    times = stream.transactions["event_time_us"][stream.truth["scenario"] == "cloned_card"]
    assert len(times) > 0
    assert (times >= begin_us).all()
    assert len(stream.transactions) == len(stream.labels) == len(stream.truth)
    others = world.truth["scenario"] != "cloned_card"
    assert (stream.truth["scenario"] != "cloned_card").sum() == others.sum()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight": 1, "bound": "high", "anomaly": {}}'])
def test_a_text_that_holds_no_fallback_is_refused(text):
    with pytest.raises(InvalidFallback, match="holds no fallback"):
        parse_fallback(text)
