"""An exercise says nothing before it is tried, hints at a wrong answer and never raises."""

from functools import partial

import pytest

from capstone_utils.course.exercises import check_count, check_members, check_promql, check_threshold

MEMBERS = partial(check_members, members=5, partitions=4)
COUNT = partial(check_count, times=[0.0, 300.0, 300.5, 600.0], now=600.0, width_seconds=300.0)
THRESHOLD = partial(check_threshold, missed_cost=200.0, review_cost=5.0)
FRAUDS, REQUESTS = "rate(fraud_predictions_total[1m])", "rate(prediction_requests_total[1m])"


@pytest.mark.parametrize("exercise", [MEMBERS, COUNT, THRESHOLD, check_promql])
def test_before_a_try_it_calls_for_one(exercise, capsys):
    exercise(None)
    assert capsys.readouterr().out.startswith("Your turn")


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        (MEMBERS, 1),
        (COUNT, 2),  # 300.0 lies just outside, 600.0 inside: (t - w, t]
        (THRESHOLD, 0.025),
        (check_promql, f"{FRAUDS} / {REQUESTS}"),
        (check_promql, f"sum({FRAUDS})/sum( {REQUESTS} )"),
    ],
)
def test_a_right_answer_is_told_why(exercise, answer, capsys):
    exercise(answer)
    assert capsys.readouterr().out.startswith("Right. ")


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        (MEMBERS, 0),
        (MEMBERS, "one"),
        (COUNT, 3),
        (THRESHOLD, 0.5),
        (THRESHOLD, "0.025"),
        (check_promql, f"{REQUESTS} / {FRAUDS}"),  # upside down
        (check_promql, f"{FRAUDS} + {REQUESTS}"),
        (check_promql, "fraud_predictions_total / prediction_requests_total"),
        (check_promql, 0.5),
    ],
)
def test_a_wrong_answer_gets_a_hint_and_no_error(exercise, answer, capsys):
    exercise(answer)
    assert capsys.readouterr().out.startswith("Not yet. ")


def test_as_many_members_as_partitions_leave_none_idle(capsys):
    check_members(0, members=4, partitions=4)
    assert capsys.readouterr().out.startswith("Right. ")
