"""Reasons say in plain words what spoke for fraud, and the model's sense is checked."""

import math

import pytest

from capstone_utils.features.spec import SPEC, State, Window
from capstone_utils.serving.evaluation.sense_check import EXPECTED, sense_check
from capstone_utils.serving.model.reasons import anomaly_reasons, in_words, loudest, reasons


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("transaction_count", 1.0, "1 payment in 5 minutes"),
        ("unique_merchants_24h", 6.0, "6 shops in 24 hours"),
        ("avg_transaction_amount_1h", 1234.5, "a mean amount of 1,234.50 in 1 hour"),
        ("seconds_since_last", 12.4, "12 seconds after the customer's last payment"),
        ("seconds_since_last", -90.0, "2 minutes older than the customer's last payment"),
        ("merchant_risk", 0.218, "a shop of whose payments 21.8% were reported as fraud"),
        ("is_new_merchant", 0.0, "a shop that this customer has used"),
        ("amount_ratio", 0.04, "0.04 times the customer's mean amount"),
        ("speed_kmh", math.nan, "speed_kmh not known yet"),
        ("a_feature_of_tomorrow", 3.0, "a_feature_of_tomorrow of 3"),
    ],
)
def test_a_value_in_words(name, value, words):
    assert in_words(name, value) == words


def test_every_feature_of_the_spec_has_words_of_its_own():
    for name in SPEC.names:
        for value in (0.0, 1.0, 2.5):
            assert not in_words(name, value).startswith(f"{name} of")


def test_a_feature_that_joins_the_spec_has_words(monkeypatch):
    window = Window("same_category_count_1h", "same", "category", 3600)
    known = State("is_new_category", "first_seen", "category")
    monkeypatch.setattr("capstone_utils.serving.model.reasons._FEATURES", {each.name: each for each in (window, known)})
    assert in_words("same_category_count_1h", 3.0) == "3 payments with this kind of shop in 1 hour"
    assert in_words("is_new_category", 1.0) == "a kind of shop that this customer never used before"


def test_the_reasons_are_the_loudest_contributions_each_topic_once(trained, split):
    booster = trained.score.booster
    rows = split.test[list(SPEC.names)]
    suspect = rows.to_numpy(float)[booster.inplace_predict(rows.to_numpy(float)).argmax()]
    found = reasons(booster, suspect, most=4)
    assert 1 <= len(found) <= 4
    assert all(reason.contribution > 0 for reason in found)
    assert [reason.contribution for reason in found] == sorted((r.contribution for r in found), reverse=True)
    assert len({reason.text.split(" in ")[0] for reason in found}) == len(found)
    for reason in found:
        assert reason.value == suspect[SPEC.names.index(reason.feature)]


def test_the_loudest_of_many_rows_is_the_first_reason_of_each(trained, split):
    booster = trained.score.booster
    rows = split.test[list(SPEC.names)].to_numpy(float)
    some = rows[booster.inplace_predict(rows).argsort()[[0, len(rows) // 2, -3, -2, -1]]].tolist()
    firsts = [next((reason.feature for reason in reasons(booster, row, most=1)), "") for row in some]
    assert loudest(booster, some) == firsts


def test_the_fallback_s_reasons_are_what_surprised_most(trained, split):
    row = split.test[list(SPEC.names)].to_numpy(float)[0]
    parts = trained.fallback.anomaly.parts(row)
    assert sum(parts.values()) == pytest.approx(trained.fallback.anomaly.score(row[None])[0])
    assert anomaly_reasons(parts, row)[0].contribution == max(parts.values())


def test_the_model_makes_sense(trained, split):
    table = sense_check(trained.score.booster, split.validation)
    assert list(table.index) == [expected.feature for expected in EXPECTED]
    assert table["holds"].all()


def test_the_check_finds_a_model_that_makes_none(trained, split):
    upside_down = split.validation.assign(is_fraud=1.0 - split.validation["is_fraud"])
    booster = train_upside_down(upside_down)
    assert not sense_check(booster, split.validation)["holds"].any()


def train_upside_down(frame):
    import xgboost as xgb

    names = list(SPEC.names)
    data = xgb.DMatrix(frame[names], label=frame["is_fraud"], feature_names=names)
    return xgb.train({"objective": "binary:logistic", "max_depth": 4}, data, 20)
