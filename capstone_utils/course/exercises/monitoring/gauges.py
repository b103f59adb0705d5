"""Exercises of notebook 4 on the kinds of a metric, and on PromQL."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Mapping, Sequence

import numpy as np

from capstone_utils.course.exercises.exercise import Exercise, Wrong
from capstone_utils.monitoring.prometheus.client import PrometheusClient, PrometheusError

METRICS = {
    "payments answered": "prediction_requests_total",
    "seconds of each answer": "prediction_latency_seconds",
    "days since the daily tables were made": "batch_tables_age_days",
    "payments that came late": "late_transactions_total",
}
MISTAKEN = {
    ("histogram", "gauge"): "a gauge keeps the last value only. A percentile needs all of them.",
    ("histogram", "counter"): "a counter has the sum. Nobody can say from it how slow the slowest were.",
    ("counter", "gauge"): "it never falls. A counter survives a missed scrape: nothing is lost between two looks.",
    ("gauge", "counter"): "it falls again, when a job makes new tables. A counter never falls.",
}
SHARE = "sum(rate(fraud_predictions_total[15s])) / sum(rate(prediction_requests_total[15s]))"
TOTALS = "sum(fraud_predictions_total) / sum(prediction_requests_total)"
UPSIDE_DOWN = "sum(rate(prediction_requests_total[15s])) / sum(rate(fraud_predictions_total[15s]))"


def _kinds(answer: Mapping[str, str | None], page: str) -> str | None:
    if not any(answer.values()):
        return None
    types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", page, re.MULTILINE))
    for what, metric in METRICS.items():
        right, said = types[metric], answer.get(what)
        if said != right:
            reason = MISTAKEN.get((right, str(said)), "choose among counter, gauge and histogram.")
            return f"{what}, as a {said}: {reason}"
    return ""


def _share(answer: str, prometheus: PrometheusClient) -> str:
    now = time.time()

    def ask(promql: str) -> list[tuple[float, ...]]:
        return [tuple(each.values) for each in prometheus.series(promql, now - 8, now, 1)]

    try:
        mine = ask(answer)
    except PrometheusError as error:
        return str(error)
    if not mine:
        known = set(prometheus.query("{job!=''}")["__name__"])
        used = [word for word in re.findall(r"[a-z_]{8,}", answer) if word not in known]
        near = [close for word in used for close in difflib.get_close_matches(word, known, 1)]
        return f"No data: there is no such metric. Near it is {near[0]}." if near else "No data: check the names."
    if len(mine) > 1:
        return f"{len(mine)} series came back, and one number is asked for: sum(...) makes one of them."
    (right,), (totals,), (upside_down,) = ask(SHARE), ask(TOTALS), ask(UPSIDE_DOWN)
    if _same(mine[0], right):
        return ""
    if _same(mine[0], totals):
        return f"{mine[0][-1]:.4f} is the share since the start. An alarm on it would be late by a year: take rates."
    if _same(mine[0], upside_down):
        return f"{mine[0][-1]:.1f}: a share is below one. Which of the two belongs on top?"
    return f"{mine[0][-1]:.4f} at this moment, and the counters say {right[-1]:.4f} over the last 15 seconds."


def _same(left: Sequence[float], right: Sequence[float]) -> bool:
    return len(left) == len(right) and np.allclose(left, right, equal_nan=True)


EXERCISES = (
    Exercise(
        id="4.1",
        objective="O4.1",
        stars=1,
        task="""Counter, gauge or histogram? Name the kind for each. The check reads the service's own page.""",
        starter="""kinds = {
    "payments answered": None,
    "seconds of each answer": None,
    "days since the daily tables were made": None,
    "payments that came late": None,
}""",
        call='check("4.1", kinds, page=page)',
        solution="""kinds = {
    "payments answered": "counter",
    "seconds of each answer": "histogram",
    "days since the daily tables were made": "gauge",
    "payments that came late": "counter",
}""",
        praise="What only grows is a counter, what goes up and down a gauge, and what needs percentiles a histogram.",
        hints=("Which of them can fall again?", "Of which do you want to know the slowest one in a hundred?"),
        wrong=(
            Wrong(
                """kinds = {
    "payments answered": "gauge",
    "seconds of each answer": "histogram",
    "days since the daily tables were made": "gauge",
    "payments that came late": "counter",
}""",
                "payments answered, as a gauge: it never falls.",
            ),
            Wrong(
                """kinds = {
    "payments answered": "counter",
    "seconds of each answer": "gauge",
    "days since the daily tables were made": "gauge",
    "payments that came late": "counter",
}""",
                "seconds of each answer, as a gauge: a gauge keeps the last value only.",
            ),
            Wrong(
                """kinds = {
    "payments answered": "counter",
    "seconds of each answer": "histogram",
    "days since the daily tables were made": "counter",
    "payments that came late": "counter",
}""",
                "days since the daily tables were made, as a counter: it falls again",
            ),
        ),
        check=_kinds,
    ),
    Exercise(
        id="4.2",
        objective="O4.2",
        stars=2,
        task="""Which share of the predictions is called fraud? Write it as PromQL, over the last **15 seconds**. The
counters are `fraud_predictions_total` and `prediction_requests_total`. The check asks Prometheus.""",
        starter="fraud_share = None  # <- a string",
        call='check("4.2", fraud_share, prometheus=prometheus)',
        solution=f'fraud_share = "{SHARE}"',
        praise="A quotient of rates. It does not grow with the traffic, and it forgets what is over.",
        hints=(
            "`sum(rate(prediction_requests_total[15s]))` is payments a second.",
            "Frauds a second, divided by payments a second.",
        ),
        wrong=(
            Wrong(f'fraud_share = "{TOTALS}"', "is the share since the start."),
            Wrong(f'fraud_share = "{UPSIDE_DOWN}"', "a share is below one."),
            Wrong(
                'fraud_share = "sum(rate(fraud_prediction_total[15s])) / sum(rate(prediction_requests_total[15s]))"',
                "Near it is fraud_predictions_total.",
            ),
            Wrong('fraud_share = "rate(fraud_predictions_total"', "Prometheus refused"),
        ),
        check=_share,
    ),
)
