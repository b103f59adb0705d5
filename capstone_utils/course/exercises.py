"""Checks for the "try it" cells: a wrong answer gets a hint, never an error."""

from __future__ import annotations


def check(answer: object, right: bool, hint: str, praise: str) -> None:
    """Print feedback on the answer: a call to try, hint or praise."""
    if answer is None:
        print("Your turn: replace None above and run the cell again.")
    elif right:
        print(f"Right. {praise}")
    else:
        print(f"Not yet. {hint}")


def check_members(answer: int | None, members: int, partitions: int) -> None:
    """Check the number of members of a consumer group that have no partition to read."""
    idle = max(members - partitions, 0)
    hint = "Each partition is read by exactly one member."
    check(answer, answer == idle, hint, f"{members} members share {partitions} partitions; {idle} waits in reserve.")


def check_count(answer: int | None, times: list[float], now: float, width_seconds: float) -> None:
    """Check the number of payments in (now - width, now]."""
    right = sum(now - width_seconds < time <= now for time in times)
    hint = "The window is open on the left and closed on the right: (t - w, t]."
    check(
        answer, answer == right, hint, "One end open, one closed: no payment is ever counted in two windows in a row."
    )


def check_threshold(answer: float | None, missed_cost: float, review_cost: float) -> None:
    """Check the probability above which a review pays: review cost < probability x loss."""
    right = isinstance(answer, (int, float)) and abs(answer - review_cost / missed_cost) < 0.005
    hint = "A review pays when probability x loss exceeds its cost."
    check(answer, right, hint, "The dearer a miss, the lower the bar for a second look.")


def check_promql(answer: str | None) -> None:
    """Check a PromQL expression for the share of predictions that are fraud over a minute."""
    frauds, _, requests = str(answer).replace(" ", "").partition("/")
    right = "rate(fraud_predictions_total[1m])" in frauds and "rate(prediction_requests_total[1m])" in requests
    hint = "Divide the rate of fraud predictions by the rate of all requests, each over [1m]."
    check(answer, right, hint, "A ratio of rates: it does not grow with traffic.")
