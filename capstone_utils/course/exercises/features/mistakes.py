"""Exercises of notebook 2 on careless counts and on the wrong clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from capstone_utils.course.exercises.exercise import Exercise, Wrong, about
from capstone_utils.ingestion.arrays import Floats
from capstone_utils.transaction import SECOND_US

THIEF, BURST = 268, 310285  # a customer, and the sixth payment of the burst that hit the card


WIDTH = 300


def _counts(answer: Mapping[str, float | None], payments: pd.DataFrame) -> str | None:
    if all(value is None for value in answer.values()):
        return None
    row = payments.loc[payments["transaction_id"] == BURST].iloc[0]
    now, times = int(row["event_time_us"]), payments["event_time_us"]
    own = times[payments["user_id"] == THIEF]

    def between(series: pd.Series, low: float, high: float) -> int:
        return int(((series > now + low * SECOND_US) & (series <= now + high * SECOND_US)).sum())

    batch = now // (WIDTH * SECOND_US)
    right = {
        "everybody": between(times, -WIDTH, 0),
        "centred": between(own, -WIDTH / 2, WIDTH / 2),
        "batch": int(((own // (WIDTH * SECOND_US) == batch) & (own <= now)).sum()),
        "cache": between(own, -WIDTH, -60),
    }
    reasons = {
        "everybody": f"One window over all customers counts everybody's payments: {right['everybody']}.",
        "centred": f"It sees 150 s ahead, so it knows payments that come later: {right['centred']}.",
        "batch": f"The batch began at 11:40:00 by the clock: {right['batch']}, right by luck.",
        "cache": f"A cache of a minute ago knows nothing after 11:41:05: it says {right['cache']}.",
    }
    wrong = [name for name in right if answer.get(name) != right[name]]
    return f"{wrong[0]}: {reasons[wrong[0]]}" if wrong else ""


def _age(age_of_99: Callable[[Any, Any, Any], float | None], moments: Floats) -> str | None:
    made_at, picked_up_at, ready_at = moments
    answer = age_of_99(made_at, picked_up_at, ready_at)
    if answer is None:
        return None
    ages = 1_000 * (ready_at - made_at)
    messages = {
        float(np.percentile(ages, 99)): "",
        float(np.percentile(ages, 99)) / 1_000: "Those are seconds. Milliseconds are asked for.",
        float(np.percentile(1_000 * (ready_at - picked_up_at), 99)): (
            "Your clock began when we picked the payment up. The shop has waited since the payment was made."
        ),
        float(np.percentile(ages, 50)): "That is the median: half are older. How old are the oldest one in a hundred?",
        float(ages.mean()): "That is the mean. How old are the oldest one in a hundred?",
        float(ages.max()): "That is the oldest of all. 99 of 100 are asked for.",
    }
    otherwise = f"{answer:.1f} is not it: numpy's percentile of (ready - made), at 99, in milliseconds."
    return about(answer, messages, 1e-6 * abs(answer), otherwise)


EXERCISES = (
    Exercise(
        id="2.4",
        objective="O2.4",
        stars=3,
        task="""Payment 310285 of customer 268 is the **sixth** in five minutes, at 11:42:05. The customer's
payments around it are in the table. What does each of the four careless ways say? (`everybody`
needs a line of code.)""",
        starter='said = {"everybody": None, "centred": None, "batch": None, "cache": None}',
        call='check("2.4", said, payments=in_order)',
        solution="""stamps = in_order['event_time_us']
now = stamps[in_order['transaction_id'] == 310285].iloc[0]
everybody = ((stamps > now - 300_000_000) & (stamps <= now)).sum()
said = {"everybody": everybody, "centred": 14, "batch": 6, "cache": 1}""",
        praise="One of four is right here, and by luck: the burst falls between 11:40 and 11:45.",
        hints=(
            "Centred: 150 seconds before and 150 seconds after 11:42:05.",
            "The cache was filled at 11:41:05, and itself looked back five minutes.",
            "A batch begins at each full five minutes by the clock.",
        ),
        wrong=(
            Wrong(
                'said = {"everybody": 6, "centred": 14, "batch": 6, "cache": 1}',
                "everybody: One window over all customers counts everybody's payments",
            ),
            Wrong(
                """now = in_order['event_time_us'][in_order['transaction_id'] == 310285].iloc[0]
everybody = in_order['event_time_us'].between(now - 300_000_000, now, inclusive='right').sum()
said = {"everybody": everybody, "centred": 6, "batch": 6, "cache": 1}""",
                "centred: It sees 150 s ahead",
            ),
            Wrong(
                """now = in_order['event_time_us'][in_order['transaction_id'] == 310285].iloc[0]
everybody = in_order['event_time_us'].between(now - 300_000_000, now, inclusive='right').sum()
said = {"everybody": everybody, "centred": 14, "batch": 6, "cache": 6}""",
                "cache: A cache of a minute ago knows nothing after 11:41:05: it says 1.",
            ),
        ),
        check=_counts,
    ),
    Exercise(
        id="2.5",
        objective="O2.2",
        stars=2,
        task="""How old are features when they are ready? From three arrays of epoch seconds, one value a payment,
compute the age in **milliseconds** that 99 of 100 payments stay below (numpy is here as `np`).""",
        starter="""def age_of_99(made_at, picked_up_at, ready_at):
    return None  # <- milliseconds""",
        call='check("2.5", age_of_99, moments=fresh.moments)',
        solution="""def age_of_99(made_at, picked_up_at, ready_at):
    return 1_000 * np.percentile(ready_at - made_at, 99)""",
        praise="From the payment, not from the moment at which we picked it up: the queue before us counts.",
        hints=(
            "Which of the three moments does the shop know of?",
            "`np.percentile(values, 99)`; times 1,000.",
        ),
        wrong=(
            Wrong(
                """def age_of_99(made_at, picked_up_at, ready_at):
    return 1_000 * np.percentile(ready_at - picked_up_at, 99)""",
                "Your clock began when we picked the payment up.",
            ),
            Wrong(
                """def age_of_99(made_at, picked_up_at, ready_at):
    return np.percentile(ready_at - made_at, 99)""",
                "Those are seconds.",
            ),
            Wrong(
                """def age_of_99(made_at, picked_up_at, ready_at):
    return 1_000 * np.median(ready_at - made_at)""",
                "That is the median",
            ),
        ),
        check=_age,
    ),
)
