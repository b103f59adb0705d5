"""A toy stream of whole days: a reference, and days that are like it until they are changed."""

from __future__ import annotations

import numpy as np

from capstone_utils.monitoring.drift.reports import Report
from capstone_utils.monitoring.drift.watch import Alarm, DriftWatch
from capstone_utils.serving.reference import SCORE, Reference, make_reference
from capstone_utils.transaction import DAY_US

COLUMNS = ("amount", "is_new_device", "merchant_risk", SCORE)
MONDAY = 20472  # 2026-01-19, days since 1970
HOUR_US = DAY_US // 24
A_DAY = 2400  # transactions
ALERTED = 12  # users a day


def a_day(number: int, seed: int = 0, **changes: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Times, users, rows and alerts of a day: larger amounts at weekends, a hundredth of the devices new.

    `amount` multiplies the amounts, `new` is the share of unknown devices, `missing` that of missing amounts, `risk`
    moves the batch feature, `alerted` is the number of users called fraud.
    """
    draw = np.random.default_rng([number, seed])
    weekend = (number + 3) % 7 >= 5
    amount = draw.lognormal(3.5 if weekend else 3.0, 1.0, A_DAY) * changes.get("amount", 1.0)
    amount[draw.random(A_DAY) < changes.get("missing", 0.0)] = np.nan
    new = (draw.random(A_DAY) < changes.get("new", 0.01)).astype(float)
    risk = 0.005 + changes.get("risk", 0.0) + 0.001 * draw.integers(0, 3, A_DAY)
    score = draw.beta(0.5, 20, A_DAY)
    times = number * DAY_US + np.sort(draw.integers(0, DAY_US, A_DAY))
    users = np.arange(A_DAY)
    alerts = users < round(changes.get("alerted", ALERTED))
    return times, users, np.column_stack([amount, new, risk, score]), draw.permutation(alerts)


def a_reference(missed: float = 0.0) -> Reference:
    """The two weeks before MONDAY; one transaction in two hundred is called fraud, and reported as fraud."""
    days = [a_day(number) for number in range(MONDAY - 14, MONDAY)]
    times, users, rows, alerts = (np.concatenate(columns) for columns in zip(*days, strict=True))
    fraud = alerts.copy()
    made = make_reference(COLUMNS, times, rows, users, alerts, fraud)
    return Reference(**vars(made) | {"missed": missed})


def watch_days(watch: DriftWatch, numbers: range, by_hours: int = 24, **changes: float) -> list[Alarm]:
    """The alarms of whole days, the clock moved every so many hours."""
    alarms: list[Alarm] = []
    for number in numbers:
        watch.add_scores(*a_day(number, **changes))
        for hour in range(by_hours, 25, by_hours):
            alarms += watch.advance(number * DAY_US + hour * HOUR_US)
    return alarms


def usual_reports(numbers: range, missed_every: int = 20) -> list[Report]:
    """Twelve reports a day, one in twenty of them missed by the model."""
    count = 12 * len(numbers)
    return [
        Report(numbers[0] * DAY_US + place * 2 * HOUR_US, place, place % missed_every == missed_every - 1, "Books")
        for place in range(count)
    ]
