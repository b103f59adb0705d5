"""Exercises of notebook 4 on latency: what a percentile can know, and for how long it may be bad."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from capstone_utils.course.exercises.exercise import Exercise, Wrong, about
from capstone_utils.monitoring.prometheus.client import PrometheusClient

BUCKETS = "sum by (le) (prediction_latency_seconds_bucket)"
TOY = [(0.1, 0), (0.2, 0), (0.3, 100), (0.5, 100)]  # a hundred answers, all between 0.2 and 0.3 s


def _percentile(percentile: Callable[..., float | None], prometheus: PrometheusClient) -> str | None:
    answer = percentile(list(TOY), 0.95)
    if answer is None:
        return None
    messages = {
        0.295: "",
        0.3: "0.3 is the upper edge of the bucket: there lies the last of all, not the 95th of 100.",
        0.2: "0.2 is the lower edge of the bucket: 100 of 100 lie above it.",
        0.25: "0.25 is the middle of the bucket. Go 95 parts of 100 of the way from its lower edge.",
    }
    if said := about(
        answer, messages, 1e-9, f"{answer:g} for a hundred answers between 0.2 and 0.3 s; 0.295 is right."
    ):
        return said
    now = time.time()
    series = prometheus.series(BUCKETS, now, now, 1)
    buckets = sorted((float(each.labels["le"]), float(each.values.iloc[-1])) for each in series)
    (own,) = prometheus.series(f"histogram_quantile(0.95, {BUCKETS})", now, now, 1)
    mine, theirs = percentile([each for each in buckets if math.isfinite(each[0])], 0.95), float(own.values.iloc[-1])
    if mine is not None and math.isclose(mine, theirs, rel_tol=1e-6):
        return ""
    return f"Of this run's answers you say {mine}, and Prometheus {theirs:.5f}. Does your bucket begin where one ended?"


def _minutes(answer: float, objective: float, days: int, rate_per_second: int) -> str:
    minutes = (1 - objective) * days * 24 * 60
    messages = {
        minutes: "",
        minutes * 60: "Those are seconds. Minutes are asked for.",
        minutes / days: f"That is the allowance of one day. The window has {days} days.",
        minutes * 60 * rate_per_second: f"Those are requests. {rate_per_second} of them come in a second.",
        objective * days * 24 * 60: "So long it has to be fast. Asked is how long it may be slow.",
    }
    otherwise = f"One in a thousand of {days} days: how many minutes have {days} days?"
    return about(answer, messages, 0.001 * abs(answer), otherwise)


EXERCISES = (
    Exercise(
        id="4.3",
        objective="O4.3",
        stars=3,
        task="""The panel says 0.295 s where every answer took 0.21 s. Compute it as Prometheus does. `buckets` is a
list of (upper bound, answers up to it), in order. Find the bucket in which the wanted answer lies. Then go the
same share of the way from its lower to its upper bound, as if its answers were spread evenly.""",
        starter="""def percentile(buckets, share):
    return None  # <- seconds""",
        call='check("4.3", percentile, prometheus=prometheus)',
        solution="""def percentile(buckets, share):
    wanted, low, below = share * buckets[-1][1], 0.0, 0
    for bound, count in buckets:
        if count >= wanted:
            return low + (bound - low) * (wanted - below) / (count - below)
        low, below = bound, count""",
        praise="A histogram only knows: between two bounds. The panel's figure is never finer than its buckets.",
        hints=(
            "Of a hundred answers, p95 is the 95th: `wanted = share * all`.",
            "Keep the bound and the count of the bucket before: there the wanted bucket begins.",
        ),
        wrong=(
            Wrong(
                """def percentile(buckets, share):
    return next(bound for bound, count in buckets if count >= share * buckets[-1][1])""",
                "0.3 is the upper edge of the bucket",
            ),
            Wrong(
                """def percentile(buckets, share):
    return max(bound for bound, count in buckets if count < share * buckets[-1][1])""",
                "0.2 is the lower edge of the bucket",
            ),
            Wrong(
                """def percentile(buckets, share):
    low = max(bound for bound, count in buckets if count < share * buckets[-1][1])
    return low + (min(bound for bound, count in buckets if bound > low) - low) / 2""",
                "0.25 is the middle of the bucket.",
            ),
        ),
        check=_percentile,
    ),
    Exercise(
        id="4.5",
        objective="O4.4",
        stars=2,
        task="""The bank promises: in 30 days, 99.9 % of the answers take less than 200 ms. 100 payments come each
second, day and night. For how many **minutes** in all may every answer be slow? (This is the *error budget*.)""",
        starter="slow_minutes = None  # <- minutes in 30 days",
        call='check("4.5", slow_minutes, objective=0.999, days=30, rate_per_second=RATE)',
        solution="slow_minutes = 0.001 * 30 * 24 * 60  # 43.2",
        praise="A slow release that rolls back in ten minutes has used a quarter of it. The rate does not matter.",
        hints=("30 days have 43,200 minutes.", "One in a thousand of them may be slow."),
        wrong=(
            Wrong("slow_minutes = 1.44", "That is the allowance of one day."),
            Wrong("slow_minutes = 2_592", "Those are seconds."),
            Wrong("slow_minutes = 259_200", "Those are requests."),
        ),
        check=_minutes,
    ),
)
