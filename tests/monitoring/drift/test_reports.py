"""Missed fraud: the evidence by hand, what a model is known to miss, and the name of what moved."""

from __future__ import annotations

import math

import pytest

from capstone_utils.errors import InvalidValue
from capstone_utils.monitoring.drift.cusum import Cusum
from capstone_utils.monitoring.drift.reports import LOOK_BACK_US, UNNAMED, MissedFraud, Report
from tests.monitoring.drift.streams import HOUR_US, a_reference


def test_the_evidence_is_the_one_that_a_hand_finds():
    cusum = Cusum(usual=0.1, raised=0.2, limit=4.0)
    for failed in (True, True, False):
        cusum.update(failed)
    assert cusum.evidence == pytest.approx(2 * math.log(2) + math.log(0.8 / 0.9))
    for _ in range(30):
        cusum.update(False)
    assert cusum.evidence == 0
    for _ in range(30):
        cusum.update(True)
    assert cusum.ratio == 2, "it stops, so that it can come down again"


@pytest.mark.parametrize(("usual", "raised"), [(0.0, 0.1), (0.2, 0.2), (0.3, 0.2), (0.5, 1.0)])
def test_shares_that_do_not_rise_are_refused(usual, raised):
    with pytest.raises(InvalidValue, match=f"usual={usual}, raised={raised} are not two rising shares"):
        Cusum(usual, raised, 8.0)


def test_a_model_that_is_known_to_miss_more_is_given_more():
    def reports_until_alarm(known: float) -> int:
        missed = MissedFraud(a_reference(known))
        return next(number for number in range(1, 500) if missed.update(Report(number, number, number % 4 == 0)) >= 1)

    assert reports_until_alarm(0.0) < 60
    with pytest.raises(StopIteration):
        reports_until_alarm(0.25)


def test_the_name_is_the_commonest_of_the_latest_misses_and_stays_until_it_is_over():
    missed = MissedFraud(a_reference())
    for number in range(40):
        missed.update(Report(number, number, False))
    for number in range(3):
        missed.update(Report(number * HOUR_US, number, True, "Books"))
    later = LOOK_BACK_US + 3 * HOUR_US
    for number in range(4):
        missed.update(Report(later + number, number, True, "Gift Cards" if number else "Books"))
    assert missed.named == "Gift Cards", "the three at Books are more than four days old"
    assert missed.text() == "3 of the 4 frauds reported lately that were missed are at Gift Cards"
    for number in range(6):
        missed.update(Report(later + 10 + number, number, True, "Books"))
    assert missed.named == "Gift Cards"
    for number in range(150):
        missed.update(Report(later + 100 + number, number, False))
    assert missed.named == ""


def test_misses_without_a_category_are_of_none():
    missed = MissedFraud(a_reference())
    for number in range(12):
        missed.update(Report(number, number, True))
    assert missed.named == UNNAMED
