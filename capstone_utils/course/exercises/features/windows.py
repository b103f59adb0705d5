"""Exercises of notebook 2 on windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from capstone_utils.course.exercises.exercise import Exercise, Wrong
from capstone_utils.transaction import SECOND_US

THIEF, BURST = 268, 310285  # a customer, and the sixth payment of the burst that hit the card


WIDTH = 300


Payments = Sequence[tuple[float, float]]  # second and dollars


def _outside(answer: float) -> str:
    messages = {
        630: "",
        629: "At second 629 it is 299 s old: inside.",
        631: "At second 630 it is exactly 300 s old, and (t - w, t] leaves that out.",
        300: "That is the window's width. When is the payment that old?",
    }
    return messages.get(int(answer), "The payment is of second 330. When is it exactly 300 s old?")


def _mean_in_window(
    mean_in_window: Callable[[Payments, float, float], float | None], payments: pd.DataFrame
) -> str | None:
    example = [(0, 25.0), (120, 40.0), (300, 15.0), (330, 15.0), (420, 105.0)]
    mine = payments[payments["user_id"] == THIEF]
    start = int(mine["event_time_us"].iloc[0])
    real = list(
        zip(
            (mine["event_time_us"] - start) / SECOND_US, mine["amount_cents"] / 100, mine["transaction_id"], strict=True
        )
    )
    burst = next(place for place, (_, _, number) in enumerate(real) if number == BURST)
    near = [(second, dollars) for second, dollars, _ in real[burst - 30 : burst + 10]]
    cases = [(example, float(now)) for now, _ in example] + [(near, now) for now, _ in near]
    answers = [(log, now, mean_in_window(list(log), now, WIDTH)) for log, now in cases]
    if all(answer is None for _, _, answer in answers):
        return None
    for log, now, answer in answers:
        if answer is None or not abs(answer - _mean(log, now)) <= 1e-9:  # NaN is never near
            return _why(log, now, answer)
    return ""


def _mean(log: Payments, now: float, left: float = 0.0, own: bool = True, future: float = 0.0) -> float:
    """The mean in (now - WIDTH, now]; `left` lets the left end in, `future` moves the right one."""
    values = [
        dollars for second, dollars in log if now - WIDTH - left < second <= now + future and (own or second != now)
    ]
    return float(np.mean(values)) if values else float("nan")


def _why(log: Payments, now: float, answer: float | None) -> str:
    right = f"At second {now:g} the mean is {_mean(log, now):.3f}, yours is {answer}."
    if answer is None:
        return f"{right} Does every way through your function return something?"
    if abs(answer - _mean(log, now, left=1e-6)) < 1e-9:
        return f"{right} A payment that is exactly {WIDTH} s old is out; you counted it."
    if abs(answer - _mean(log, now, future=1e9)) < 1e-9:
        return f"{right} You used a payment that had not happened yet."
    if np.isnan(answer) or abs(answer - _mean(log, now, own=False)) < 1e-9:
        return f"{right} The payment of this second belongs to its own window."
    return right


EXERCISES = (
    Exercise(
        id="2.1",
        objective="O2.1",
        stars=1,
        task="""One payment was made at second 330. From which second on is it **outside** the window of the last
300 seconds?""",
        starter="outside_from = None  # <- a second",
        call='check("2.1", outside_from)',
        solution="outside_from = 330 + 300",
        praise="At second 630 it is exactly 300 s old, and the window is open on the left.",
        hints=(
            "How old is the payment at second 500?",
            "(t - 300, t] does not hold t - 300 itself.",
        ),
        wrong=(
            Wrong("outside_from = 629", "At second 629 it is 299 s old"),
            Wrong("outside_from = 631", "At second 630 it is exactly 300 s old"),
            Wrong("outside_from = 300", "That is the window's width."),
        ),
        check=_outside,
    ),
    Exercise(
        id="2.2",
        objective="O2.1",
        stars=2,
        task="""Write the mean amount in (now - width, now]. `payments` is a list of (second, dollars). The check
tries it on the five payments above, and on forty real ones of customer 268, whose card a thief is
testing.""",
        starter="""def mean_in_window(payments, now, width):
    return None  # <- dollars""",
        call='check("2.2", mean_in_window, payments=in_order)',
        solution="""def mean_in_window(payments, now, width):
    inside = [dollars for second, dollars in payments if now - width < second <= now]
    return sum(inside) / len(inside)""",
        praise="Payment 310285 gives 11.703: her own purchase, and five tests of less than two dollars each.",
        hints=(
            "Which seconds lie in the window? Both ends need a sign.",
            "The list may hold payments later than `now`.",
        ),
        wrong=(
            Wrong(
                """def mean_in_window(payments, now, width):
    inside = [dollars for second, dollars in payments if now - width <= second <= now]
    return sum(inside) / len(inside)""",
                "At second 300 the mean is 27.500, yours is 26.666666666666668. A payment that is exactly 300 s old",
            ),
            Wrong(
                """def mean_in_window(payments, now, width):
    inside = [dollars for second, dollars in payments if now - width < second]
    return sum(inside) / len(inside)""",
                "At second 0 the mean is 25.000, yours is 40.0. You used a payment that had not happened yet.",
            ),
            Wrong(
                """def mean_in_window(payments, now, width):
    inside = [dollars for second, dollars in payments if now - width < second < now]
    return sum(inside) / len(inside) if inside else float('nan')""",
                "At second 0 the mean is 25.000, yours is nan. The payment of this second belongs to its own window.",
            ),
        ),
        check=_mean_in_window,
    ),
)
