"""The exercise on PromQL says nothing before it is tried, hints at a wrong answer and never raises."""

import pytest

from capstone_utils.course.exercises import check_promql

FRAUDS, REQUESTS = "rate(fraud_predictions_total[1m])", "rate(prediction_requests_total[1m])"


@pytest.mark.parametrize(
    ("answer", "begins"),
    [
        (None, "Your turn"),
        (f"{FRAUDS} / {REQUESTS}", "Right. "),
        (f"sum({FRAUDS})/sum( {REQUESTS} )", "Right. "),
        (f"{REQUESTS} / {FRAUDS}", "Not yet. "),  # upside down
        (f"{FRAUDS} + {REQUESTS}", "Not yet. "),
        ("fraud_predictions_total / prediction_requests_total", "Not yet. "),
        (0.5, "Not yet. "),
    ],
)
def test_each_answer_gets_its_word(answer, begins, capsys):
    check_promql(answer)
    assert capsys.readouterr().out.startswith(begins)
