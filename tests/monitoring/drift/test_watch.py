"""The watch rings for what moved, names it, and for nothing else; order, batches and restarts change nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest

from capstone_utils.monitoring.drift.days import LATENESS_US
from capstone_utils.monitoring.drift.reports import Report
from capstone_utils.monitoring.drift.watch import DriftWatch
from capstone_utils.transaction import DAY_US
from tests.monitoring.drift.streams import HOUR_US, MONDAY, a_day, a_reference, usual_reports, watch_days

WEEKS = range(MONDAY, MONDAY + 21)
REFERENCE = a_reference()


@pytest.fixture
def watch() -> DriftWatch:
    watch = DriftWatch(REFERENCE)
    for report in usual_reports(range(MONDAY, MONDAY + 35)):
        watch.add_report(report)
    return watch


def rung(alarms) -> set[tuple[str, str]]:
    return {(alarm.detector, alarm.column) for alarm in alarms}


def test_a_steady_stream_rings_nothing_weekends_included(watch):
    assert watch_days(watch, WEEKS) == []
    assert set(watch.ratios) >= {
        ("feature", "amount"),
        ("score", "score"),
        ("missing", "amount"),
        ("labels", "silence"),
    }
    assert watch.rang_us == {}


def test_a_batch_feature_may_move_as_a_whole(watch):
    assert watch_days(watch, WEEKS[:7]) + watch_days(watch, WEEKS[7:], risk=0.01) == []
    assert not any(
        column == "merchant_risk" for detector, column in watch.ratios if detector in ("feature", "reference")
    )


def test_a_batch_feature_that_goes_missing_rings(watch):
    watch_days(watch, WEEKS[:7])
    times, users, rows, alerts = a_day(WEEKS[7])
    rows[:, 2] = np.nan
    watch.add_scores(times, users, rows, alerts)
    assert rung(watch.advance((WEEKS[7] + 1) * DAY_US)) == {("missing", "merchant_risk")}


def test_a_jump_is_seen_at_the_end_of_its_first_day_and_names_its_feature(watch):
    watch_days(watch, WEEKS[:15])
    alarms = watch_days(watch, WEEKS[15:17], by_hours=1, amount=2.0)
    assert rung(alarms) == {("feature", "amount"), ("reference", "amount")}
    assert {alarm.at_us for alarm in alarms} == {WEEKS[16] * DAY_US + LATENESS_US}
    assert "amount" in alarms[0].text


def test_what_moved_two_weeks_ago_is_usual_by_now_but_not_what_the_model_knows(watch):
    watch_days(watch, WEEKS[:16], amount=2.0)
    assert watch.ratios["feature", "amount"] < 1 <= watch.ratios["reference", "amount"]


def test_missing_values_and_unknown_devices_ring_within_the_day(watch):
    watch_days(watch, WEEKS[:15])
    (first,) = watch_days(watch, WEEKS[15:16], by_hours=1, missing=0.5)[:1]
    assert (first.detector, first.column) == ("missing", "amount")
    assert first.at_us - WEEKS[15] * DAY_US <= 4 * HOUR_US
    other = DriftWatch(REFERENCE)
    (first,) = watch_days(other, WEEKS[:1], by_hours=1, new=0.5)[:1]
    assert (first.detector, first.column) == ("new_device", "is_new_device")


def test_fewer_users_called_fraud_ring_after_days(watch):
    watch_days(watch, WEEKS[:7])
    alarms = watch_days(watch, range(WEEKS[7], WEEKS[7] + 14), alerted=2)
    assert rung(alarms) == {("alerts", "fewer")}
    # a day of 2 in place of 12 adds 6 - 2 ln 2 = 4.6 to the evidence, the limit is 20: the fifth day
    assert alarms[0].at_us == (WEEKS[7] + 5) * DAY_US + LATENESS_US


def test_labels_that_cease_ring_and_those_that_come_late_do_not(watch):
    quiet = DriftWatch(REFERENCE)
    for report in usual_reports(WEEKS[:7]):
        quiet.add_report(report)
    assert watch_days(quiet, WEEKS[:7], by_hours=1) == []
    alarms = watch_days(quiet, WEEKS[7:11], by_hours=1)
    assert rung(alarms) == {("labels", "silence")}
    # twelve are due a day, and the limit is twenty
    assert (alarms[0].at_us - WEEKS[7] * DAY_US) / HOUR_US == pytest.approx(40, abs=3)


def test_a_stream_that_begins_without_labels_is_given_a_day_more():
    watch = DriftWatch(REFERENCE)
    assert watch_days(watch, WEEKS[:2]) == []
    assert rung(watch_days(watch, WEEKS[2:4])) == {("labels", "silence")}


def test_more_missed_frauds_ring_and_name_the_commonest_kind_of_shop():
    watch = DriftWatch(REFERENCE)
    for report in usual_reports(range(MONDAY, MONDAY + 30)):
        watch.add_report(report)
    for place in range(12):
        category = "Gift Cards" if place % 6 else "Books"
        watch.add_report(Report((MONDAY + 10) * DAY_US + place * HOUR_US, 1000 + place, True, category))
    alarms = watch_days(watch, range(MONDAY, MONDAY + 30))
    assert rung(alarms) == {("missed_fraud", "Gift Cards")}
    assert "reported lately that were missed are at Gift Cards" in alarms[0].text
    assert alarms[0].at_us == watch.rang_us["missed_fraud"]
    assert [column for detector, column in watch.ratios if detector == "missed_fraud"] == [""], "it is over by now"


def test_reports_on_what_another_version_scored_break_the_silence_alone():
    watch = DriftWatch(REFERENCE)
    for report in usual_reports(WEEKS, missed_every=1):
        watch.add_report(report._replace(missed=None))
    assert watch_days(watch, WEEKS) == []
    assert watch.ratios["missed_fraud", ""] == 0


def test_order_and_batches_change_no_ratio(watch):
    other = DriftWatch(REFERENCE)
    for report in reversed(usual_reports(range(MONDAY, MONDAY + 35))):
        other.add_report(report)
    shuffle = np.random.default_rng(1)
    for number in WEEKS:
        watch.add_scores(*a_day(number, amount=1.5))
        order = np.array_split(shuffle.permutation(len(a_day(number)[0])), 7)
        for part in order:
            other.add_scores(*(column[part] for column in a_day(number, amount=1.5)))
        assert other.advance((number + 1) * DAY_US) == watch.advance((number + 1) * DAY_US)
        assert other.ratios == watch.ratios


def test_scores_of_a_closed_day_are_counted_as_late_alone(watch):
    watch_days(watch, WEEKS[:2])
    watch.advance(WEEKS[2] * DAY_US + LATENESS_US)
    before = dict(watch.ratios)
    watch.add_scores(*a_day(WEEKS[0]))
    watch.advance(WEEKS[2] * DAY_US + LATENESS_US)
    assert (watch.late, watch.ratios) == (2400, before)


def test_a_watch_that_comes_back_from_json_goes_on_as_if_nothing_had_been(watch):
    watch_days(watch, WEEKS[:9], amount=2.0)
    other = DriftWatch(REFERENCE)
    other.restore(json.loads(json.dumps(watch.to_dict())))
    assert other.ratios == watch.ratios
    for number in WEEKS[9:14]:
        assert watch_days(other, range(number, number + 1)) == watch_days(watch, range(number, number + 1))
        assert other.ratios == watch.ratios


def test_a_day_of_few_transactions_has_no_distribution(watch):
    times, users, rows, alerts = a_day(MONDAY, amount=5.0)
    watch.add_scores(times[:499], users[:499], rows[:499], alerts[:499])
    watch.advance((MONDAY + 2) * DAY_US)
    assert ("feature", "amount") not in watch.ratios
