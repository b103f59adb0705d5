"""Live quality: what labels have settled, what the probabilities expect meanwhile, and up to when each is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from capstone_utils.ingestion.labels import Label
from capstone_utils.monitoring.feedback.metrics import FeedbackMetrics
from capstone_utils.monitoring.feedback.quality import ALL, Rates, Window, make_report
from capstone_utils.monitoring.feedback.records import BILLION, Origin, ScoreRow
from capstone_utils.monitoring.feedback.store import FeedbackStore
from capstone_utils.transaction import DAY_US, SECOND_US

START = 1_767_571_200_000_000
HTTP = Origin("abc", "http", "model")
STREAM = Origin("def", "stream", "model")
RESCUED = Origin("def", "stream", "fallback")


def at(day):
    return START + int(day * DAY_US)


def score(number, day, alert=False, probability=0.0, cents=1_000, origin=STREAM):
    return ScoreRow(number, 7, at(day), cents, round(probability * BILLION), alert, "Books", origin)


def report(row, after=1.0, is_fraud=True):
    return Label(
        row.transaction_id,
        row.user_id,
        is_fraud,
        row.event_time_us,
        row.event_time_us + int(after * DAY_US),
        "customer",
    )


@pytest.fixture
def store(tmp_path):
    opened = FeedbackStore(tmp_path / "joined.sqlite", clock_rank=1)
    yield opened
    opened.close()


@pytest.fixture
def week(store):
    """A settled first week, and one that is not: nine days of it, then the clock at day 14."""
    scores = [
        score(1, 0, alert=True, probability=0.9, cents=5_000),  # caught
        score(2, 1, alert=True, probability=0.6, cents=700, origin=HTTP),  # a false alarm
        score(3, 2, probability=0.1, cents=9_000),  # missed
        score(4, 3, probability=0.05),  # passed
        score(5, 4, alert=True, probability=0.02, cents=300, origin=RESCUED),  # caught by the fallback
        score(6, 8, alert=True, probability=0.8),  # young
        score(7, 14),
    ]
    store.add(scores, [report(scores[0]), report(scores[2], 5), report(scores[4]), report(scores[5], 5.5)], {})
    return store


def test_the_confusion_matrix_and_the_money_are_of_settled_payments_alone(week):
    found = make_report(week)
    assert found.settled == Window(at(0), at(7))
    quality = found.quality[ALL]
    assert (quality.caught, quality.false_alerts, quality.missed, quality.passed) == (2, 1, 1, 1)
    assert (quality.saved_cents, quality.held_cents, quality.lost_cents) == (5_300, 700, 9_000)
    assert quality.rates == pytest.approx(Rates(2 / 3, 2 / 3, 2 / 3))
    assert found.labelled == 3
    assert found.settled.hours == 7 * 24


def test_each_version_door_and_way_of_deciding_has_its_own(week):
    quality = make_report(week).quality
    assert quality.keys() == {
        ALL,
        ("version", "abc"),
        ("version", "def"),
        ("door", "http"),
        ("door", "stream"),
        ("decided_by", "model"),
        ("decided_by", "fallback"),
    }
    assert quality["door", "http"].rates.precision == 0
    assert math.isnan(quality["door", "http"].rates.recall)
    assert quality["decided_by", "fallback"].rates.precision == 1
    assert quality["version", "def"].missed == 1


def test_the_estimate_needs_no_labels_and_stands_beside_the_truth(week):
    found = make_report(week)
    expected = Rates.of(0.9 + 0.6 + 0.02, 3 - 1.52, 0.1 + 0.05)
    assert found.quality[ALL].estimate == pytest.approx(expected)
    assert found.young_quality[ALL].estimate.precision == pytest.approx(0.8)
    assert found.quality[ALL].calibration == pytest.approx((1.52 + 0.15) / 3)


def test_the_estimate_is_right_for_probabilities_that_are_and_blind_to_a_fraud_that_looks_ordinary(store):
    generator = np.random.default_rng(3001)
    chances = generator.beta(0.05, 0.5, 12_000)
    fraud = generator.random(12_000) < chances
    rows = [score(n, n / 1800, chance > 0.4, chance) for n, chance in enumerate(chances.tolist())]
    rows.append(score(99_999, 16))
    store.add(rows, [report(row) for row, is_fraud in zip(rows, fraud, strict=False) if is_fraud], {})
    store.add([], [report(rows[11_700], 9.0)], {})  # labels still come
    quality = make_report(store).quality[ALL]
    assert quality.estimate == pytest.approx(quality.rates, abs=0.04)
    ordinary = [row for row in rows[5_000:11_700] if row.billionths < BILLION // 100][:450]
    before = quality.rates.recall
    store.add([], [report(row, 2.5) for row in ordinary], {})
    quality = make_report(store).quality[ALL]
    assert quality.rates.recall < before - 0.1
    assert quality.estimate.recall == pytest.approx(before, abs=0.05)


def test_nothing_more_is_settled_while_no_label_comes(store):
    rows = [score(n, n) for n in range(20)]
    store.add(rows, [report(rows[3])], {})
    assert make_report(store).settled is None, "the last label came on day 4"
    store.add([], [report(rows[9])], {})
    found = make_report(store)
    assert found.settled == Window(at(0), at(10 + 1 - 7))
    assert found.young == Window(at(4), at(19) + 1)


def test_calibration_compares_each_bin_s_expected_share_of_fraud_with_the_one_that_was_labelled(week):
    by_low = {each.low: each for each in make_report(week).calibration}
    assert (by_low[0.9].expected, by_low[0.9].observed) == pytest.approx((0.9, 1.0))
    assert (by_low[0.6].expected, by_low[0.6].observed) == pytest.approx((0.6, 0.0))
    assert math.isnan(by_low[0.4].expected)


def test_reported_frauds_come_in_the_order_of_their_reports_and_those_of_another_version_say_nothing(store):
    old, new, caught = score(1, 0, origin=HTTP), score(2, 1), score(3, 2, alert=True)
    store.add([old, new, caught, score(9, 9)], [report(old, 4), report(new), report(caught), report(new, 6)], {})
    found = store.take_reports(at(9), "def")
    assert [(each.transaction_id, each.missed, each.category) for each in found] == [
        (3, False, "Books"),
        (1, None, "Books"),
        (2, True, "Books"),
    ]
    assert store.take_reports(at(9), "def") == [], "each is given once"


def test_there_is_no_report_before_there_is_a_clock(tmp_path):
    store = FeedbackStore(tmp_path / "joined.sqlite")
    store.add([score(1, 0)], [], {})
    assert make_report(store) is None
    store.close()


def test_the_gauges_say_what_the_report_says_and_up_to_when_it_is_known(week):
    metrics = FeedbackMetrics()
    value = metrics.registry.get_sample_value
    assert value("feedback_clock_seconds") is None
    metrics.report = make_report(week)
    assert value("live_window_seconds", {"payments": "settled", "edge": "to"}) == at(7) / SECOND_US
    assert value("live_window_seconds", {"payments": "young", "edge": "to"}) >= at(14) / SECOND_US
    whole = {"by": "all", "value": "all"}
    assert value("live_payments", whole | {"verdict": "legitimate", "label": "fraud"}) == 1
    assert value("live_money_dollars", whole | {"what": "lost"}) == 90
    assert value("live_false_positives_an_hour", whole) == 1 / (7 * 24)
    settled = whole | {"payments": "settled", "basis": "labels"}
    assert value("live_quality_ratio", settled | {"measure": "recall"}) == pytest.approx(2 / 3)
    assert value("live_quality_ratio", settled | {"payments": "young", "measure": "recall"}) is None
    fallback = {"by": "decided_by", "value": "fallback", "payments": "settled", "basis": "labels"}
    assert value("live_quality_ratio", fallback | {"measure": "precision"}) == 1
    assert value("live_quality_ratio", fallback | {"measure": "recall"}) is None
    assert value("live_settled_payments", {"by": "label"}) == 3


def test_every_outcome_of_a_batch_is_counted_under_its_name(week):
    metrics = FeedbackMetrics()
    row = score(50, 10)
    metrics.count(week.add([row, row], [report(row), report(row), report(row, 8, False)], {}))
    value = metrics.registry.get_sample_value
    counted = {each: value("feedback_labels_total", {"outcome": each}) for each in ("joined", "duplicate", "late")}
    assert counted == {"joined": 2, "duplicate": 1, "late": 1}
    assert value("feedback_labels_total", {"outcome": "contradicted"}) == 1
    assert value("feedback_scores_total", {"outcome": "duplicate"}) == 1
