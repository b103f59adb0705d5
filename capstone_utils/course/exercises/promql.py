"""The exercise of notebook 4 on PromQL."""

from __future__ import annotations


def check_promql(answer: str | None) -> None:
    """Check a PromQL expression for the share of predictions that are fraud over a minute."""
    if answer is None:
        print("Your turn: replace None above and run the cell again.")
        return
    frauds, _, requests = str(answer).replace(" ", "").partition("/")
    right = "rate(fraud_predictions_total[1m])" in frauds and "rate(prediction_requests_total[1m])" in requests
    if right:
        print("Right. A ratio of rates: it does not grow with traffic.")
    else:
        print("Not yet. Divide the rate of fraud predictions by the rate of all requests, each over [1m].")
