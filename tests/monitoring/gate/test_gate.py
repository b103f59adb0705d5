"""A challenger that learnt a new fraud passes the gate; wrong labels and features are refused before any training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xgboost as xgb

from benchmarks.gate import poisons
from capstone_utils.course.rehearsal import hidden
from capstone_utils.features.spec import BRIEF, SPEC, FeatureSpec, Window
from capstone_utils.monitoring.gate import gate, honesty, label_checks
from capstone_utils.monitoring.gate.challenger import learnt, split_now, train_challenger
from capstone_utils.monitoring.gate.evidence import gather, golden_users
from capstone_utils.monitoring.gate.gate import weigh
from capstone_utils.monitoring.gate.golden import FrozenLabels, InvalidFrozenLabels
from capstone_utils.monitoring.gate.honesty import honesty_checks
from capstone_utils.monitoring.gate.model_checks import Pair, gain_checks, golden_checks, serving_checks
from capstone_utils.monitoring.gate.paired import verdicts
from capstone_utils.serving.training.train import train_xgboost
from capstone_utils.transaction import DAY_SECONDS
from tests.small_world import NOW

pytestmark = pytest.mark.slow


@pytest.fixture
def frozen(tmp_path):
    return FrozenLabels(tmp_path / "frozen.npz")


def refused(evidence, champion, frozen):
    """The names of the checks that refuse it; nothing was trained."""
    report, challenger = weigh(evidence, champion, frozen)
    assert challenger is None
    assert not report.passed
    return {check.name for check in report.failed}


def test_a_challenger_that_learnt_the_new_fraud_passes_every_check(weighed):
    assert weighed.report.failed == []
    assert weighed.report.passed
    recall = weighed.report.compared.loc["recall"]
    assert 0 < recall["low"] < recall["difference"] < recall["high"]


def test_the_evidence_of_a_rehearsal_has_the_features_of_its_spec(rehearsal):
    wider = FeatureSpec((*SPEC.features, Window("same_category_count_1h", "same", "category", 3600)))
    evidence = rehearsal._replace(spec=wider).evidence(NOW)
    assert evidence.spec is wider
    assert evidence.frame["same_category_count_1h"].max() > 1


def test_it_promises_what_was_measured_on_users_that_its_judges_never_saw(weighed):
    promise, measured = weighed.challenger.metrics, weighed.report.compared["challenger"]
    for name in ("recall", "precision"):
        assert promise[name] == measured[name]
        assert promise[f"{name}_low"] < promise[name] < promise[f"{name}_high"]


def test_it_brings_the_reference_of_two_settled_weeks_of_users_it_has_not_learnt_from(weighed, evidence):
    reference = weighed.challenger.reference
    assert reference.days == 14
    transactions = int(reference.weekdays[:, 0].sum())
    weeks = evidence.settled & (evidence.times >= evidence.settled_until - 14 * 86_400)
    assert (evidence.golden & weeks).sum() < transactions < 0.5 * weeks.sum()
    assert 0 <= reference.missed < 0.5
    assert 0 < reference.alerted < 0.02


def test_no_golden_user_and_no_label_that_had_not_arrived_is_learnt_from(evidence):
    split = split_now(evidence, ~evidence.golden)
    for part in (split.train, split.validation, split.known):
        assert not golden_users(part["user_id"]).any()
        assert (part["label_known_at"] <= evidence.now).all()
    assert 0.1 < evidence.golden.mean() < 0.3
    young = split.known[split.known["timestamp"] > evidence.now - 7 * DAY_SECONDS]
    assert len(young) > 10
    assert (young["is_fraud"] == 1).all()


def test_the_manifest_says_what_was_learnt(weighed, evidence):
    known = learnt(weighed.challenger)
    assert known.settled_until == evidence.settled_until
    assert evidence.now - DAY_SECONDS < known.reports_until <= evidence.now
    assert not known.golden


@pytest.mark.parametrize(
    ("poison", "by"),
    [
        ("30 % hidden", "contradictions"),
        ("takeovers never reported", "contradictions"),
        ("0.5 % framed", "lone_reports"),
        ("a thief's shop honest", "contradicted_shop"),
        ("outage", "label_flow"),
    ],
)
def test_poisoned_labels_are_refused_before_anything_learns_from_them(rehearsal, frozen, poison, by):
    evidence = rehearsal.evidence(NOW, poisons(rehearsal, NOW)[poison])
    assert by in refused(evidence, rehearsal.champion, frozen)


def test_hidden_reports_are_found_with_a_champion_that_is_never_quite_sure(rehearsal, frozen, monkeypatch):
    monkeypatch.setattr(label_checks, "SURE", 1.1)
    evidence = rehearsal.evidence(NOW, hidden(rehearsal.reports))
    assert "contradictions" in refused(evidence, rehearsal.champion, frozen)


@pytest.fixture(scope="module")
def young_champion(rehearsal):
    """A champion of a week ago: it has learnt from reports on payments that have settled since."""
    return train_challenger(rehearsal.evidence(NOW - 7))


def test_honest_labels_of_the_week_after_a_promotion_are_not_called_tampered_with(
    rehearsal, evidence, young_champion, frozen, monkeypatch
):
    class Believed(Exception):
        pass

    def train(*_):
        raise Believed

    monkeypatch.setattr(gate, "train_challenger", train)  # what comes once the labels are believed
    with pytest.raises(Believed):
        weigh(evidence, young_champion, frozen)


def test_reports_hidden_since_a_promotion_are_found(rehearsal, young_champion, frozen):
    since = rehearsal.reports["known_at_us"] >= rehearsal.moment(NOW - 7)
    left = rehearsal.reports[~since | rehearsal.reports.index.isin(hidden(rehearsal.reports).index)]
    assert "contradictions" in refused(rehearsal.evidence(NOW, left), young_champion, frozen)


def compared(recall, precision):
    """A comparison with these intervals of the differences, and no difference of money."""
    table = pd.DataFrame([recall, precision, (0.0, 0.0)], ["recall", "precision", "money"], ["low", "high"])
    return table.assign(champion=0.9, challenger=0.9, difference=table.mean(axis=1))


@pytest.mark.parametrize(("knowing", "passed"), [(1, True), (honesty.SHUFFLES, False)])
def test_what_is_known_after_one_shuffle_is_chance_and_after_every_one_a_leak(
    rehearsal, evidence, monkeypatch, knowing, passed
):
    boosters = iter([rehearsal.champion.score.booster] * knowing)

    def leaking(*arguments, **named):
        return next(boosters, None) or train_xgboost(*arguments, **named)

    monkeypatch.setattr(honesty, "train_xgboost", leaking)
    check = honesty.shuffled_labels(evidence, evidence.golden & evidence.settled)
    assert check.passed is passed
    assert (check.value > 10) is not passed


@pytest.mark.parametrize(
    ("recall", "precision", "champion_days", "failed"),
    [
        ((0.01, 0.05), (-0.02, 0.01), 7, set()),
        ((-0.02, 0.01), (0.01, 0.05), 7, set()),
        ((-0.05, -0.01), (0.01, 0.05), 7, {"recall_kept"}),
        ((0.01, 0.05), (-0.09, -0.05), 7, {"precision_kept"}),
        ((-0.01, 0.01), (-0.01, 0.01), 7, {"gain"}),
        ((-0.01, 0.01), (-0.01, 0.01), 28, set()),
    ],
)
def test_a_challenger_is_better_in_one_and_as_good_in_the_other(recall, precision, champion_days, failed):
    checks = gain_checks(compared(recall, precision), champion_days)
    assert {check.name for check in checks if not check.passed} == failed


def test_too_few_labels_are_refused(rehearsal, frozen):
    few = rehearsal.reports.sample(frac=0.2, random_state=0)
    failed = refused(rehearsal.evidence(NOW, few), rehearsal.champion, frozen)
    assert {"training_frauds", "deciding_frauds", "golden_frauds"} <= failed


def test_a_world_without_a_single_fraud_is_refused(rehearsal, frozen):
    failed = refused(rehearsal.evidence(NOW, rehearsal.reports.iloc[:0]), rehearsal.champion, frozen)
    assert {"training_frauds", "label_flow", "reported_share"} <= failed


def test_ten_days_of_data_are_refused(rehearsal, frozen):
    payments = rehearsal.stream.transactions
    short = payments[payments["event_time_us"] >= rehearsal.moment(NOW - 10)]
    evidence = gather(short, rehearsal.reports, rehearsal.moment(NOW))
    assert "training_frauds" in refused(evidence, rehearsal.champion, frozen)


def test_frozen_labels_that_were_changed_later_are_refused_and_the_frozen_ones_stay(rehearsal, evidence, frozen):
    frozen.freeze(rehearsal.evidence(NOW - 14))
    before = FrozenLabels(frozen._path)
    assert not before.changed(evidence).any()
    golden = rehearsal.reports["transaction_id"].isin(before.labels.index[before.labels["is_fraud"] == 1])
    hidden = rehearsal.evidence(NOW, rehearsal.reports.drop(rehearsal.reports.index[golden][:30]))
    assert before.changed(hidden).sum() == 30
    assert "frozen_labels" in refused(hidden, rehearsal.champion, before)
    before.freeze(hidden)
    assert FrozenLabels(frozen._path).labels.loc[frozen.labels.index, "is_fraud"].equals(frozen.labels["is_fraud"])
    used = before.applied(hidden).frame
    assert used.loc[hidden.golden, "is_fraud"].sum() == hidden.frame.loc[hidden.golden, "is_fraud"].sum() + 30


def test_a_damaged_file_of_frozen_labels_is_named(tmp_path):
    (tmp_path / "frozen.npz").write_bytes(b"nonsense")
    with pytest.raises(InvalidFrozenLabels, match=r"frozen\.npz holds no frozen labels"):
        FrozenLabels(tmp_path / "frozen.npz")


def test_a_feature_that_knows_the_future_is_refused(rehearsal, evidence, frozen):
    later = evidence.frame.groupby("user_id")["amount"].shift(-1)
    leaked = replace(evidence, frame=evidence.frame.assign(amount_ratio=later))
    assert "future" in refused(leaked, rehearsal.champion, frozen)


def test_shop_risk_made_from_labels_that_came_later_is_refused(rehearsal, frozen):
    at_once = rehearsal.reports.assign(known_at_us=rehearsal.moment(0))  # as if each report had come before its payment
    leaked = rehearsal.evidence(NOW, at_once)
    honest = rehearsal.evidence(NOW)
    leaked = replace(honest, frame=honest.frame.assign(merchant_risk=leaked.frame["merchant_risk"]))
    assert "future" in refused(leaked, rehearsal.champion, frozen)


def test_features_of_another_spec_are_refused(rehearsal, frozen):
    evidence = gather(rehearsal.stream.transactions, rehearsal.reports, rehearsal.moment(NOW), spec=BRIEF)
    assert refused(evidence, rehearsal.champion, frozen) == {"spec"}


def test_features_that_a_door_served_otherwise_are_refused(evidence):
    served = evidence.frame.set_index("transaction_id")[list(SPEC.names)].tail(5000)
    checks = {check.name: check for check in honesty_checks(replace(evidence, served=served), SPEC)}
    assert (checks["served"].value, checks["served"].passed) == (0, True)
    skewed = served.assign(transaction_count_24h=served["transaction_count_24h"] + (served["amount"] > 100))
    checks = {check.name: check for check in honesty_checks(replace(evidence, served=skewed), SPEC)}
    assert not checks["served"].passed


def test_a_door_that_did_not_know_a_shop_yet_served_no_other_feature(evidence):
    served = evidence.frame.set_index("transaction_id")[list(SPEC.names)].head(50).assign(merchant_risk=np.nan)
    assert honesty_checks(replace(evidence, served=served), SPEC)[1].value == 0


def test_a_slower_and_larger_model_is_refused(rehearsal, evidence):
    some = evidence.frame.head(400)
    data = xgb.DMatrix(some[list(SPEC.names)], np.arange(400) % 2, feature_names=list(SPEC.names))
    heavy = xgb.train({"objective": "binary:logistic", "max_depth": 7, "nthread": 1, "eta": 0.01}, data, 3000)
    slow = replace(rehearsal.champion, score=rehearsal.champion.score._replace(booster=heavy))
    checks = {each.name: each for each in serving_checks(slow, rehearsal.champion, len(heavy.save_raw("json")), some)}
    assert not checks["row_seconds_ratio"].passed
    assert not checks["bytes"].passed
    same = serving_checks(rehearsal.champion, rehearsal.champion, 1, some)
    assert all(check.passed for check in same)


def test_a_challenger_that_forgot_one_kind_of_fraud_is_refused_by_the_golden_users(rehearsal, evidence, weighed):
    rows = evidence.golden & evidence.settled
    frame, settled = evidence.frame[rows], evidence.settled[rows]
    ours = verdicts(weighed.challenger, frame)
    forgetful = ours._replace(alerts=ours.alerts & (frame["kind"] != "cloned_card").to_numpy())
    champion = verdicts(rehearsal.champion, frame)
    failed = {check.name for check in golden_checks(Pair(frame, settled, forgetful, champion)) if not check.passed}
    assert "kinds" in failed
    assert "kinds" not in {
        check.name for check in golden_checks(Pair(frame, settled, ours, champion)) if not check.passed
    }


def test_a_report_known_last_counts_and_unknown_payments_are_left_out(rehearsal):
    fraud = rehearsal.reports.iloc[[0]]
    number = fraud["transaction_id"].iloc[0]
    taken_back = fraud.assign(is_fraud=False, known_at_us=fraud["known_at_us"] + 1, kind="")
    stranger = fraud.assign(transaction_id=10**12)
    day = int(fraud["known_at_us"].iloc[0] // 86_400_000_000 - rehearsal.moment(0) // 86_400_000_000) + 1
    for reports, expected in ((pd.concat([fraud, stranger]), 1.0), (pd.concat([taken_back, fraud]), 0.0)):
        evidence = rehearsal.evidence(max(day, 3), reports)
        assert evidence.frame.set_index("transaction_id").loc[number, "is_fraud"] == expected
