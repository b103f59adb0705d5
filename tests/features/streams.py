"""Arrival logs and specs of every kind for the parity tests, as hypothesis strategies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from capstone_utils.features.daily_tables import DailyTable
from capstone_utils.features.spec import SPEC, Daily, FeatureSpec, State, Window
from capstone_utils.transaction import DAY_US, MAX_AMOUNT_CENTS, SECOND_US, Transaction

START_US = 1_767_225_600 * SECOND_US  # a midnight
RISK = DailyTable(START_US // DAY_US, np.array([[0.1, 0.2], [0.3, 0.4]]), {"Amazon": 0, "Walmart": 1})
PROFILE = DailyTable(START_US // DAY_US + 1, np.array([[2.5]]), {1: 0})
DAILY = {"merchant_risk": RISK, "user_daily_transactions": PROFILE}

# Steps around the edges of the windows, back in time, and years ahead and back: gaps, and clocks that are wrong.
YEARS = 3 * 365 * 86_400
edges = st.sampled_from([0, 0, 1, 60, 300, 301, -1, -60, -300, 3600, -3599, -3600, -3601, 86_399, 86_400, 90_000])
steps = st.one_of(edges, edges, st.integers(-400, 400), st.sampled_from([0, 0, YEARS, -YEARS]))
payments = st.tuples(
    st.integers(1, 2),  # user
    st.sampled_from([0, -500, 1, 1999, MAX_AMOUNT_CENTS, 12_345]),  # cents: zero, a refund, the largest
    steps,  # seconds after the one before
    st.sampled_from(["NY", "LA", "SF", "東京"]),
    st.sampled_from(["Amazon", "Walmart", "Maple Café", "Maple Cafe\u0301", "Harbor Café"]),
    st.sampled_from(["mobile", "desktop", "📱", "\x00\n\"'"]),
    st.integers(0, 7),  # 0: an earlier transaction again
)


def as_log(rows: list[tuple]) -> list[Transaction]:
    """The payments as transactions with ids from 0, none before the year 2000."""
    time, log = START_US + 40 * DAY_US // 100, []
    for number, (user, cents, step, location, merchant, device, repeat) in enumerate(rows):
        time = max(START_US - 10 * DAY_US, time + step * SECOND_US)
        transaction = Transaction(number, user, cents, time, location, merchant, device)
        if repeat == 0 and log:
            transaction = log[number * 7 % len(log)]
        log.append(transaction)
    return log


def logs(min_size: int = 1, max_size: int = 40) -> st.SearchStrategy[list[Transaction]]:
    """Arrival logs of two users at five merchants, of which two differ in spelling alone and two are of one kind."""
    return st.lists(payments, min_size=min_size, max_size=max_size).map(as_log)


def as_frame(log: list[Transaction]) -> pd.DataFrame:
    """The log as `offline_features` takes it."""
    return pd.DataFrame(log, columns=Transaction._fields)


LABEL_DELAY = 300
seconds = st.sampled_from([1, 300, 3600, 86_400])
keys = st.sampled_from(["user_id", "merchant"])
delays = st.sampled_from([0, 0, 60, 3600])
texts = st.sampled_from(["location", "merchant", "device", "category"])
features = st.one_of(
    st.builds(Window, st.just(""), st.sampled_from(["count", "mean"]), st.just("amount_cents"), seconds, keys, delays),
    st.builds(Window, st.just(""), st.sampled_from(["distinct", "same"]), texts, seconds, keys),
    st.builds(Window, st.just(""), st.just("fraud_rate"), st.just("is_fraud"), seconds, keys, st.just(LABEL_DELAY)),
    st.builds(State, st.just(""), st.just("first_seen"), texts),
    st.sampled_from([f for f in SPEC.features if isinstance(f, State | Daily)]),
    st.sampled_from([State("", "is_weekend"), State("", "is_night")]),
)


def as_spec(chosen: list, lateness: int, max_events: int, max_values: int) -> FeatureSpec:
    """A spec of the features, each with a name of its own where its own does not matter."""
    named = [f if isinstance(f, Daily) else replace(f, name=f"f{place}") for place, f in enumerate(chosen)]
    rated = any(isinstance(f, Window) and f.aggregate == "fraud_rate" for f in named)
    unique = tuple({f.name: f for f in named}.values())
    return FeatureSpec(unique, lateness, 100_000 if rated else max_events, max_values)


forgetful = st.builds(replace, st.just(SPEC), max_events=st.integers(2, 5), max_values=st.integers(1, 3))
small_specs = st.builds(
    as_spec,
    st.lists(features, min_size=1, max_size=6),
    st.sampled_from([0, 60, 3600]),
    st.sampled_from([2, 3, 5, 100_000]),
    st.sampled_from([1, 2, 256]),
)
