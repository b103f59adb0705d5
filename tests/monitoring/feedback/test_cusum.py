"""The CUSUM rings soon after more frauds are missed, and hardly ever while as many are as usual."""

import numpy as np
import pytest

from capstone_utils.errors import InvalidValue
from capstone_utils.monitoring.feedback.cusum import RAISED, USUAL, Cusum

REPORTS_A_DAY = 38


def reports_until_alarm(generator, share, most):
    cusum = Cusum()
    for number, missed in enumerate(generator.random(most) < share, start=1):
        cusum.update(bool(missed))
        if cusum.ratio >= 1:
            return number
    return most


def test_with_as_many_missed_as_usual_it_rings_less_than_once_in_eight_weeks():
    generator = np.random.default_rng(3001)
    eight_weeks = 56 * REPORTS_A_DAY
    calm = [reports_until_alarm(generator, USUAL, eight_weeks) == eight_weeks for _ in range(100)]
    assert np.mean(calm) > 0.5


def test_with_a_fifth_of_the_reports_on_a_kind_that_it_misses_it_rings_within_days():
    generator = np.random.default_rng(3002)
    needed = [reports_until_alarm(generator, 0.22, 2_000) for _ in range(100)]
    assert np.median(needed) < 2.5 * REPORTS_A_DAY


def test_it_never_falls_below_zero_and_falls_again_when_all_is_as_before():
    cusum = Cusum()
    cusum.update_all([False] * 100)
    assert cusum.ratio == 0
    cusum.update_all([True] * 3)
    raised = cusum.ratio
    cusum.update(False)
    assert 0 < cusum.ratio < raised


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [((RAISED, USUAL), "are not two rising shares"), ((0.0, 0.5), "usual=0.0"), ((0.1, 0.2, 0.0), "limit=0.0 is not")],
)
def test_shares_and_limits_that_make_no_sense_are_refused(arguments, sentence):
    with pytest.raises(InvalidValue, match=sentence):
        Cusum(*arguments)
